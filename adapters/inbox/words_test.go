package inbox

import (
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

func TestDescribe(t *testing.T) {
	until := func(time.Time) string { return "5 December" }
	part := []rx.Part{{Org: "p", Dispense: "x"}}
	for _, c := range []struct {
		status   string
		s        rx.State
		pharmacy string
		title    string
		detail   string
		tone     tone
		step     int
		active   bool
	}{
		{"ready", rx.State{Phase: rx.Ready, FillsAllowed: 1}, "", "Choose a pharmacy", "where it should go", act, 1, true},
		{"ready", rx.State{Phase: rx.Ready, Pharmacy: "p", FillsAllowed: 1}, "Riverside", "Sent to pharmacy", "Riverside has your", going, 2, true},
		{"ready", rx.State{Phase: rx.Ready, Pharmacy: "p", FillsAllowed: 3, FillsDone: 1}, "Riverside", "Next fill available", "1 of 3 collected", going, 2, true},
		{"held", rx.State{Phase: rx.Held, Holder: "p"}, "Riverside", "With pharmacy", "Riverside has accepted", going, 3, true},
		{"held", rx.State{Phase: rx.Held, Holder: "p"}, "", "With pharmacy", "Your pharmacy has accepted", going, 3, true},
		{"ready-to-collect", rx.State{Phase: rx.Collect, Holder: "p", LeaseEnd: 1}, "Riverside", "Ready to collect", "at Riverside until 5 December.", ready, 4, true},
		{"ready-to-collect", rx.State{Phase: rx.Collect, Holder: "p"}, "Riverside", "Ready to collect", "at Riverside.", ready, 4, true},
		{"on-hold", rx.State{Phase: rx.Ready, OnHold: true, Pharmacy: "p"}, "Riverside", "Paused by your clinic", "Ask them", warn, 2, true},
		{"cancel-pending", rx.State{Phase: rx.Collect, CancelPending: true, Holder: "p"}, "Riverside", "Being cancelled", "Do not collect", warn, 4, true},
		{"completed", rx.State{Phase: rx.Completed, FillsAllowed: 1, FillsDone: 1}, "Riverside", "Collected", "Nothing is left", ended, 5, false},
		{"completed", rx.State{Phase: rx.Completed, FillsAllowed: 3, FillsDone: 1}, "Riverside", "Ended", "1 of 3 collected", ended, 5, false},
		{"completed", rx.State{Phase: rx.Completed, FillsAllowed: 3}, "", "Not dispensed", "not collected", ended, 1, false},
		{"cancelled", rx.State{Phase: rx.Cancelled}, "", "Cancelled", "clinic", ended, 1, false},
		{"replaced", rx.State{Phase: rx.Replaced, Pharmacy: "p"}, "Riverside", "Replaced", "newer", ended, 2, false},
		{"expired", rx.State{Phase: rx.Expired, Pharmacy: "p"}, "Riverside", "Expired", "Ask your clinic", ended, 2, false},
		{"ready", rx.State{Phase: rx.Ready, Declined: []string{"p"}, FillsAllowed: 1}, "", "Choose another pharmacy", "declined", act, 1, true},
		{"ready", rx.State{Phase: rx.Ready, RecordOnly: true, FillsAllowed: 1}, "", "Not sent electronically", "Ask your clinic", warn, 1, true},
		{"ready", rx.State{Phase: rx.Ready, Pharmacy: "p", Parts: part, FillsAllowed: 1}, "Riverside", "Remainder available", "Riverside for the rest", going, 2, true},
		{"held", rx.State{Phase: rx.Held, Holder: "p", Parts: part}, "Riverside", "Preparing remainder", "Riverside is preparing the rest", going, 3, true},
		{"ready-to-collect", rx.State{Phase: rx.Collect, Holder: "p", Short: rx.ShortPart}, "Riverside", "Ready to collect (partial)", "A part is waiting", ready, 4, true},
		{"ready-to-collect", rx.State{Phase: rx.Collect, Holder: "p", Short: rx.ShortAll, Parts: part}, "Riverside", "Preparing remainder", "collected a part", going, 3, true},
		{"unheard-of", rx.State{}, "", "Status unknown", "Ask", warn, 1, true},
	} {
		got := describe(c.s, c.pharmacy, until)
		if c.title != "Status unknown" && (got.Title != c.s.Business().Text() || c.s.Status() != c.status) {
			t.Errorf("%s %+v: the title %q is not its business status", c.status, c.s, got.Title)
		}
		if got.Title != c.title || !strings.Contains(got.Detail, c.detail) || got.Tone != c.tone || got.Step != c.step || got.Active != c.active {
			t.Errorf("%s %+v: got %+v", c.status, c.s, got)
		}
	}
}

func TestTimeline(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 8, 0, 0, 0, time.UTC) }
	one, two := ledger.ID{1}, ledger.ID{2}
	said := func(d int, dispense ledger.ID, status string) event {
		return event{at: day(d), dispense: dispense, status: status, pharmacy: "P"}
	}
	for _, c := range []struct {
		name   string
		status string
		s      rx.State
		events []event
		want   string // title state day, …
	}{
		{"waits for a choice", "ready", rx.State{Phase: rx.Ready}, nil,
			"Issued now 1, Sent to pharmacy next, With pharmacy next, Ready to collect next, Collected next"},
		{"ready to collect", "ready-to-collect", rx.State{Phase: rx.Collect, Holder: "p"},
			[]event{said(3, one, "preparation"), said(4, one, "in-progress")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy done 3, Ready to collect now 4, Collected next"},
		{"handed over without a claim", "completed", rx.State{Phase: rx.Completed, FillsAllowed: 1, FillsDone: 1},
			[]event{said(5, one, "completed")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy done, Ready to collect done, Collected done 5"},
		{"second fill accepted", "held", rx.State{Phase: rx.Held, Holder: "p", FillsAllowed: 2, FillsDone: 1},
			[]event{said(3, one, "preparation"), said(4, one, "completed"), said(9, two, "preparation")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy now 9, Ready to collect next, Collected next"},
		{"the last of two fills", "completed", rx.State{Phase: rx.Completed, FillsAllowed: 2, FillsDone: 2},
			[]event{said(4, one, "completed"), said(9, two, "preparation"), said(10, two, "completed")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy done 9, Ready to collect done, Collected done 10"},
		{"released and accepted again", "held", rx.State{Phase: rx.Held, Holder: "p"},
			[]event{said(3, one, "preparation"), said(4, one, "cancelled"), said(6, two, "preparation")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy now 6, Ready to collect next, Collected next"},
		{"hand-over withdrawn", "held", rx.State{Phase: rx.Held, Holder: "p"},
			[]event{said(3, one, "completed"), said(4, one, "entered-in-error"), said(6, two, "preparation")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy now 6, Ready to collect next, Collected next"},
		{"cancelled before anything", "cancelled", rx.State{Phase: rx.Cancelled, Pharmacy: "p"}, nil,
			"Issued done 1, Sent to pharmacy done 2, Cancelled stop"},
		{"being cancelled while it waits", "cancel-pending", rx.State{Phase: rx.Collect, CancelPending: true, Holder: "p"},
			[]event{said(4, one, "in-progress")},
			"Issued done 1, Sent to pharmacy done 2, With pharmacy done, Ready to collect done 4, Being cancelled stop"},
	} {
		w := describe(c.s, "P", func(time.Time) string { return "" })
		var got []string
		for _, m := range timeline(w, c.s, day(1), day(2), "C", "P", c.events) {
			text := m.Title + " " + m.State
			if !m.At.IsZero() {
				text += " " + m.At.Format("2")
			}
			got = append(got, text)
		}
		if g := strings.Join(got, ", "); g != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, g, c.want)
		}
	}
}

func TestCollectedCountsWhatStands(t *testing.T) {
	one, two := ledger.ID{1}, ledger.ID{2}
	got := collected([]event{{dispense: one, status: "completed"}, {dispense: one, status: "completed"},
		{dispense: two, status: "completed"}, {dispense: two, status: "entered-in-error"}})
	if len(got) != 1 || got[0].dispense != one {
		t.Errorf("got %+v", got)
	}
}

func TestFHIRDates(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-20": "20 November 2026", "2026-11-20T09:00:00+01:00": "20 November 2026", "2026-11": "November 2026",
		"2026": "2026", "": "", "soon": "soon",
	} {
		if got := fhirDate(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestTimeOfAnID(t *testing.T) {
	when := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	if got := timeOf(at(when)); !got.Equal(when) {
		t.Errorf("got %v", got)
	}
	if !timeOf(ledger.ID{}).IsZero() {
		t.Error("the zero id has a time")
	}
}
