package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// keep puts a prescription's state and trail into the world, with the columns that follow from them.
func keep(t *testing.T, w *adaptertest.World, id ledger.ID, kept rx.Kept) {
	t.Helper()
	p := w.Records.Prescriptions[id]
	p.ID, p.Clinic, p.Status, p.Claim, p.FillsAllowed, p.FillsDone = id, w.Clinic.Org, kept.Status(), kept.Claim, kept.FillsAllowed, kept.FillsDone
	p.Pharmacy, p.Holder = orNone(kept.Pharmacy), orNone(kept.Holder)
	p.Version = max(1, len(kept.Trail))
	state, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	p.State = state
	w.Records.Prescriptions[id] = p
}

func orNone(text string) ledger.ID {
	id, _ := uuid.Parse(text)
	return id
}

// valid fails the test for what is not valid R4.
func valid(t *testing.T, name, body string) {
	t.Helper()
	doc, err := fhir.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, body)
	}
	for _, issue := range fhir.Validate(doc) {
		t.Errorf("%s: %s %s at %s\n%s", name, issue.ID, issue.Text, issue.Expression, body)
	}
}

// taskBody is as much of a Task as tests look at.
type taskBody struct {
	ResourceType, ID, Status, Intent, Priority string
	Meta                                       struct{ VersionID, LastUpdated string }
	Identifier                                 []struct{ System, Value string }
	BusinessStatus, StatusReason, Code         struct {
		Coding []struct{ System, Code string }
		Text   string
	}
	Focus           struct{ Reference string }
	For             party
	Owner           party
	Requester       party
	ExecutionPeriod struct{ Start, End string }
	AuthoredOn      string
	LastModified    string
	Restriction     struct {
		Repetitions int
		Period      struct{ Start, End string }
	}
	Output []struct{ ValueReference party }
}

type party struct {
	Reference, Type, Display string
	Identifier               struct{ System, Value string }
}

func taskIn(t *testing.T, body string) (task taskBody) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &task); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return task
}

const hour = int64(60 * 60 * 1000)

// Every phase under every overlay is a Task of valid R4, for the clinic and for the pharmacy.
func TestTaskOfEveryState(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMilli()
	tasks := 0
	for _, phase := range []rx.Phase{rx.None, rx.Ready, rx.Held, rx.Collect, rx.Completed, rx.Cancelled, rx.Replaced, rx.Expired} {
		for overlay := range 256 {
			on := func(bit int) bool { return overlay>>bit&1 == 1 }
			kept := rx.Kept{State: rx.State{Phase: phase, Clinic: w.Clinic.Org.String(), Record: id.String(), OnHold: on(0), CancelPending: on(1), RecordOnly: on(2)}}
			if on(3) {
				kept.Pharmacy = w.Pharmacy.Org.String()
			}
			if on(4) {
				kept.Holder, kept.Claim, kept.LeaseEnd = w.Pharmacy.Org.String(), 1, began+72*hour
			}
			if on(5) {
				kept.FillsAllowed, kept.ValidFrom, kept.ValidTo, kept.Urgent = 3, began-hour, began+1000*hour, true
			}
			if on(6) {
				kept.Parts, kept.Short = []rx.Part{{Org: w.Pharmacy.Org.String(), Dispense: "x"}}, rx.ShortAll
			}
			if on(7) {
				kept.Trail = rx.Trail{{Version: 1, At: began, Kind: rx.Issue, Record: id.String(), By: kept.Clinic, With: kept.Pharmacy, Status: "ready"},
					{Version: 2, At: began + hour, Kind: rx.Claim, Record: id.String(), By: w.Pharmacy.Org.String(), With: kept.Holder, Status: kept.Status()}}
			}
			keep(t, w, id, kept)
			for name, who := range map[string]adaptertest.Member{"clinic": w.Clinic, "pharmacy": w.Pharmacy} {
				resp := get(w, who, "/fhir/Task/"+id.String())
				body := text(t, resp)
				if nobodys := on(2) && !on(3) && !on(4); nobodys && name == "pharmacy" {
					if resp.StatusCode != http.StatusNotFound {
						t.Errorf("%s %b, recorded only: %d for the pharmacy", phase, overlay, resp.StatusCode)
					}
					continue
				}
				if resp.StatusCode != http.StatusOK {
					t.Fatalf("%s %b for the %s: %d %s", phase, overlay, name, resp.StatusCode, body)
				}
				valid(t, fmt.Sprintf("%s %b for the %s", phase, overlay, name), body)
				task, want := taskIn(t, body), kept.Business()
				status, _ := kept.TaskStatus()
				if task.Status != status || task.BusinessStatus.Text != want.Text() || task.Code.Coding[0].Code != "fulfill" || task.Intent != "order" {
					t.Errorf("%s %b: %+v", phase, overlay, task)
				}
				tasks++
			}
		}
	}
	t.Logf("%d Tasks judged", tasks)
}

// fulfilled is a prescription in the middle of its life: two fills of three done, the third ready.
func fulfilled(t *testing.T, w *adaptertest.World) (id, dispense ledger.ID, kept rx.Kept) {
	t.Helper()
	id = prescription(t, w, adaptertest.Request("rx-1"))
	p, began := w.Pharmacy.Org.String(), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMilli()
	dispense = w.Records.Add(ledger.Record{Org: w.Pharmacy.Org, Type: "MedicationDispense"}, []byte(adaptertest.Dispense("d-1", "rx-1")))
	w.Records.Dispenses[dispense] = ledger.Dispense{Key: ledger.Key{Org: w.Pharmacy.Org}, Resource: dispense, Prescription: id, Version: 1, Status: "completed"}
	kept = rx.Kept{State: rx.State{Phase: rx.Collect, Clinic: w.Clinic.Org.String(), Record: id.String(), Pharmacy: p, Holder: p, Claim: 3,
		FillsAllowed: 3, FillsDone: 2, ValidFrom: began, ValidTo: began + 1000*hour},
		Trail: rx.Trail{
			{Version: 1, At: began, Kind: rx.Issue, Record: id.String(), By: w.Clinic.Org.String(), With: p, Status: "ready"},
			{Version: 2, At: began + hour, Kind: rx.HandOver, Record: dispense.String(), By: p, With: p, Status: "ready"},
			{Version: 3, At: began + 2*hour, Kind: rx.Prepare, Record: dispense.String(), By: p, With: p, Status: "ready-to-collect"}}}
	keep(t, w, id, kept)
	return id, dispense, kept
}

func TestTask(t *testing.T) {
	w := world(t)
	id, dispense, _ := fulfilled(t, w)
	resp := get(w, w.Clinic, "/fhir/Task/"+id.String(), "Rx-Person: staff-17")
	body := text(t, resp)
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `W/"3"` || resp.Header.Get("Rx-State") != "ready-to-collect" || resp.Header.Get("Last-Modified") != "Mon, 02 Mar 2026 11:00:00 GMT" {
		t.Fatalf("%d %v\n%s", resp.StatusCode, resp.Header, body)
	}
	got := taskIn(t, body)
	me := got.Owner.Identifier.Value == w.Pharmacy.Org.String() && got.Requester.Identifier.Value == w.Clinic.Org.String()
	if got.ResourceType != "Task" || got.ID != id.String() || got.Meta.VersionID != "3" || got.Status != "in-progress" || !me ||
		got.Focus.Reference != "MedicationRequest/"+id.String() || got.For.Identifier.System != "urn:mrn" || got.For.Identifier.Value != "1" ||
		got.Restriction.Repetitions != 3 || got.Restriction.Period.Start != "2026-03-02T09:00:00.000Z" || got.Restriction.Period.End != "2026-04-13T00:59:59.999Z" ||
		got.ExecutionPeriod.Start != "2026-03-02T10:00:00.000Z" || got.ExecutionPeriod.End != "" || got.LastModified != "2026-03-02T11:00:00.000Z" || got.AuthoredOn != "2026-03-02T09:00:00.000Z" ||
		len(got.Output) != 1 || got.Output[0].ValueReference.Reference != "MedicationDispense/"+dispense.String() || got.Identifier[0].Value != "3" ||
		got.BusinessStatus.Text != "Ready to collect" || got.BusinessStatus.Coding[0].Code != "ready-to-collect" || got.BusinessStatus.Coding[1].Code != "Ready to Collect" {
		t.Errorf("%s", body)
	}
	if strings.Contains(body, adaptertest.Canary) || strings.Contains(body, "Ibuprofen") {
		t.Errorf("clinical content in a Task: %s", body)
	}
	a := w.Records.Accesses()
	if len(a) != 1 || a[0].Action != "read" || a[0].Records[0] != id || a[0].Person != "staff-17" {
		t.Errorf("accesses %+v", a)
	}
	// who has it already is told nothing, so nothing is disclosed
	if resp := get(w, w.Clinic, "/fhir/Task/"+id.String(), `If-None-Match: W/"3"`); resp.StatusCode != 304 || len(w.Records.Accesses()) != 1 {
		t.Errorf("not modified: %d, %d accesses", resp.StatusCode, len(w.Records.Accesses()))
	}
	for _, path := range []string{"/_history", "/_history/1"} {
		if resp := get(w, w.Clinic, "/fhir/Task/"+id.String()+path); resp.StatusCode != 501 {
			t.Errorf("Task%s: %d", path, resp.StatusCode)
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		if resp := w.Do(w.Clinic, method, "/fhir/Task/"+id.String(), "{}"); resp.StatusCode != 405 {
			t.Errorf("%s: %d", method, resp.StatusCode)
		}
	}
	w.Records.Erase(id)
	if resp := get(w, w.Clinic, "/fhir/Task/"+id.String()); resp.StatusCode != 410 {
		t.Errorf("erased: %d", resp.StatusCode)
	}
}

// A pharmacy where the patient was is not told where the patient is, nor what others dispensed.
func TestTaskKeepsOthersApart(t *testing.T) {
	w := world(t)
	id, dispense, kept := fulfilled(t, w)
	elsewhere := w.Records.Add(ledger.Record{Org: w.Other.Org, Type: "MedicationDispense"}, []byte(adaptertest.Dispense("e-1", "rx-1")))
	w.Records.Dispenses[elsewhere] = ledger.Dispense{Key: ledger.Key{Org: w.Other.Org}, Resource: elsewhere, Prescription: id, Version: 1, Status: "in-progress"}
	w.Records.Delivered[[2]ledger.ID{w.Other.Org, id}] = true
	kept.Pharmacy, kept.Holder = w.Other.Org.String(), w.Other.Org.String()
	kept.Trail[2].By, kept.Trail[2].With = kept.Holder, kept.Holder
	keep(t, w, id, kept)
	for _, c := range []struct {
		who     adaptertest.Member
		owner   string
		claim   bool
		outputs string
	}{
		{w.Clinic, w.Other.Org.String(), true, dispense.String() + " " + elsewhere.String()},
		{w.Pharmacy, "", false, dispense.String()},
		{w.Other, w.Other.Org.String(), true, elsewhere.String()},
	} {
		body := text(t, get(w, c.who, "/fhir/Task/"+id.String()))
		got := taskIn(t, body)
		var outputs []string
		for _, o := range got.Output {
			outputs = append(outputs, strings.TrimPrefix(o.ValueReference.Reference, "MedicationDispense/"))
		}
		same := len(outputs) == len(strings.Fields(c.outputs))
		for _, o := range outputs {
			same = same && strings.Contains(c.outputs, o)
		}
		if got.Owner.Identifier.Value != c.owner || !same || (len(got.Identifier) > 0) != c.claim {
			t.Errorf("%+v, want %+v", got, c)
		}
		if c.owner == "" && strings.Contains(body, w.Other.Org.String()) {
			t.Errorf("the other pharmacy is named: %s", body)
		}
	}
}

// searchBody is as much of a searchset as tests look at.
type searchBody struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource taskBody
		Search   struct{ Mode string }
	}
}

func search(t *testing.T, w *adaptertest.World, who adaptertest.Member, query string) (found searchBody, ids string) {
	t.Helper()
	resp := get(w, who, "/fhir/Task"+query)
	body := text(t, resp)
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %d %s", query, resp.StatusCode, body)
	}
	valid(t, query, body)
	if err := json.Unmarshal([]byte(body), &found); err != nil {
		t.Fatal(err)
	}
	for _, e := range found.Entry {
		if e.Search.Mode != "match" || !strings.HasSuffix(e.FullURL, "/fhir/Task/"+e.Resource.ID) {
			t.Errorf("%s: entry %+v", query, e)
		}
		ids += e.Resource.ID + " "
	}
	return found, ids
}

func TestSearchTasks(t *testing.T) {
	w := world(t)
	id, _, _ := fulfilled(t, w)
	free := prescription(t, w, adaptertest.Request("rx-2"))
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	keep(t, w, free, rx.Kept{State: rx.State{Phase: rx.Ready, Record: free.String(), Pharmacy: w.Pharmacy.Org.String(), FillsAllowed: 1},
		Trail: rx.Trail{{Version: 1, At: at, Kind: rx.Issue, Record: free.String(), By: w.Clinic.Org.String(), With: w.Pharmacy.Org.String(), Status: "ready"}}})
	one, two := id.String()+" ", free.String()+" "
	me := w.Pharmacy.Org.String()
	for query, want := range map[string]string{
		"": two + one,
		"?focus=MedicationRequest/" + id.String():                                  one,
		"?focus=" + id.String():                                                    one,
		"?focus=" + adaptertest.BaseURL + "/fhir/MedicationRequest/" + id.String(): one,
		"?focus=" + id.String() + "," + free.String():                              two + one,
		"?_id=" + free.String():                                                    two,
		"?_id=" + free.String() + "&focus=" + id.String():                          "",
		"?_id=nobody": "",
		"?focus=MedicationRequest/" + uuid.NewString(): "",
		"?status=ready":                                     two,
		"?status=in-progress,ready":                         two + one,
		"?status=http://hl7.org/fhir/task-status%7Cready":   two,
		"?status=failed":                                    "",
		"?owner=Organization/" + me:                         one,
		"?owner=" + me + "&status=ready":                    "",
		"?owner=" + w.Other.Org.String():                    "",
		"?_lastUpdated=2026-04-01":                          two,
		"?_lastUpdated=ge2026-03&_lastUpdated=lt2026-03-31": one,
		"?_lastUpdated=gt2026-04-01":                        "",
		"?_lastUpdated=le2026-03-02T11:00:00Z":              one,
		"?_lastUpdated=2026-03-02T12:00:00%2B01:00":         one,
		"?_lastUpdated=2025":                                "",
		"?_count=200&_format=json":                          two + one,
	} {
		for name, who := range map[string]adaptertest.Member{"clinic": w.Clinic, "pharmacy": w.Pharmacy} {
			found, got := search(t, w, who, query)
			if got != want || found.Type != "searchset" || found.Total == nil || *found.Total != len(strings.Fields(want)) {
				t.Errorf("%s for the %s: %q, want %q", query, name, got, want)
			}
		}
		if _, got := search(t, w, w.Other, query); got != "" {
			t.Errorf("%s for a stranger: %q", query, got)
		}
	}
	accesses := w.Records.Accesses()
	if last := accesses[len(accesses)-1]; last.Action != "search" {
		t.Errorf("the last access is %+v", last)
	}
	before := len(accesses)
	search(t, w, w.Clinic, "")
	if now := w.Records.Accesses(); len(now) != before+1 || len(now[before].Records) != 2 {
		t.Error("a page is one disclosure of all its records")
	}
}

func TestSearchTasksRefuses(t *testing.T) {
	w := world(t)
	for query, want := range map[string]struct {
		status int
		place  string
	}{
		"?patient=1":                     {501, "query patient"},
		"?name=x":                        {501, "query parameter"},
		"?focus:missing=true":            {501, "query parameter"},
		"?_include=Task:focus":           {501, "query _include"},
		"?focus=Patient/1":               {422, "query focus"},
		"?focus=":                        {422, "query focus"},
		"?status=new":                    {422, "query status"},
		"?status=":                       {422, "query status"},
		"?status=ready&status=completed": {422, "query status"},
		"?owner=Patient/1":               {422, "query owner"},
		"?_count=0":                      {422, "query _count"},
		"?_count=many":                   {422, "query _count"},
		"?_before=x":                     {422, "query _before"},
		"?_lastUpdated=yesterday":        {422, "query _lastUpdated"},
		"?_lastUpdated=ne2026":           {422, "query _lastUpdated"},
		"?_lastUpdated=":                 {422, "query _lastUpdated"},
		"?_format=xml":                   {415, "query _format"},
		"?%zz":                           {422, "query"},
	} {
		resp := get(w, w.Clinic, "/fhir/Task"+query)
		if body := text(t, resp); resp.StatusCode != want.status || !strings.Contains(body, `"`+want.place+`"`) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, body)
		}
	}
}

// Pages follow one another without gap or repeat, whatever they filter.
func TestSearchTasksInPages(t *testing.T) {
	w := world(t)
	want := map[string]bool{}
	for i := range 450 { // more than one look at the store
		id := prescription(t, w, adaptertest.Request(fmt.Sprint("rx-", i)))
		phase := rx.Ready
		if i%5 == 0 {
			phase, want[id.String()] = rx.Expired, true
		}
		keep(t, w, id, rx.Kept{State: rx.State{Phase: phase, Record: id.String(), Pharmacy: w.Pharmacy.Org.String()}})
	}
	query, pages := "?status=failed&_count=20", 0
	for query != "" {
		found, ids := search(t, w, w.Pharmacy, query)
		for id := range strings.FieldsSeq(ids) {
			if !want[id] {
				t.Fatalf("%s twice or wrongly", id)
			}
			delete(want, id)
		}
		query = ""
		for _, l := range found.Link {
			if l.Relation == "next" {
				query = strings.TrimPrefix(l.URL, adaptertest.BaseURL+"/fhir/Task")
			}
		}
		pages++
	}
	if len(want) != 0 || pages != 5 {
		t.Errorf("%d not found, in %d pages", len(want), pages)
	}
}
