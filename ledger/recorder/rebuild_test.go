package recorder_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// bundleOf is a Bundle of whole resources.
func bundleOf(kind string, resources ...[]byte) []byte {
	entries := make([]string, len(resources))
	for i, r := range resources {
		entries[i] = fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":%s,"request":{"method":"POST","url":"MedicationRequest"}}`, i, r)
	}
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":%q,"entry":[%s]}`, kind, strings.Join(entries, ","))
}

// TestRebuild: after a history of every kind of message and fact, the sealed records alone make the same
// tables again, less an erased patient's; and a row that was changed is named.
func TestRebuild(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { rebuild(t, open(t)) })
	t.Run("postgres", func(t *testing.T) { rebuild(t, open(t, (*hub).onPostgres)) })
}

func rebuild(t *testing.T, h *hub) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 5))
	history(t, h, random, "M-1", "M-2", "M-3")
	who, _ := h.patient(h.clinic, "M-2")
	before := tables(t, h)
	if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Status != 200 {
		t.Fatalf("erase: %+v", a)
	}
	h.finished()
	history(t, h, random, "M-2", "M-3") // the same person again is another patient
	after := tables(t, h)
	for _, name := range ledger.StateTables {
		if before[name] == 0 || after[name] == 0 {
			t.Errorf("the history leaves table %s empty: %d, %d", name, before[name], after[name])
		}
	}
	if strings.Contains(written(t, h), who.Patient.String()) {
		t.Error("the erased patient is in what was rebuilt")
	}
	h.verify()

	for _, keep := range []bool{false, true} {
		var d *recorder.Difference
		b := recorder.NewRebuilt(h.store, h.keys)
		b.Keep = keep
		answer := func(r *ledger.StateRow) { r.Text = strings.Replace(r.Text, `\"status\":`, `\"status\":1`, 1) }
		_, err := b.Check(t.Context(), changed{h.store, "message", answer}, nil)
		if !errors.As(err, &d) || d.Table != "message" || d.Reason != recorder.DiffersRow || keep != (d.Column == "answer") {
			t.Errorf("changed message: %v", err)
		}
	}
	for reason, change := range map[string]func(r *ledger.StateRow){
		recorder.ForeignRow: func(r *ledger.StateRow) { r.Key = strings.Replace(r.Key, "-7", "-4", 1) },
		recorder.MissingRow: func(r *ledger.StateRow) { r.Table = "" },
	} {
		var d *recorder.Difference
		_, err := recorder.NewRebuilt(h.store, h.keys).Check(t.Context(), changed{h.store, "fill", change}, nil)
		if !errors.As(err, &d) || d.Table != "fill" || d.Reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}

	// what a hand that knows SQL does
	var d *recorder.Difference
	h.exec(`UPDATE prescription SET status = 'completed' WHERE id = (SELECT max(id::text)::uuid FROM prescription WHERE status <> 'completed')`)
	_, err := recorder.NewRebuilt(h.store, h.keys).Check(t.Context(), h.store, nil)
	if !errors.As(err, &d) || d.Table != "prescription" || d.Column != "status" || fault.KindOf(err) != fault.Tampered {
		t.Errorf("changed status: %v", err)
	}
}

// exec runs a statement past the store.
func (h *hub) exec(statement string) {
	h.t.Helper()
	h.harmed = true
	driver, dsn := "pgx", h.dsn[0]
	if dsn == "" {
		driver, dsn = "sqlite", "file:"+filepath.Join(h.dir, "records.db")
		statement = strings.ReplaceAll(statement, "max(id::text)::uuid", "max(id)")
	}
	db, err := sql.Open(driver, dsn)
	h.must(err)
	defer db.Close()
	result, err := db.Exec(statement)
	h.must(err)
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		h.t.Fatalf("%d rows, %v", n, err)
	}
}

// changed changes the first row of a table on its way; one without a table is dropped.
type changed struct {
	ledger.StateReader
	table  string
	change func(*ledger.StateRow)
}

func (c changed) State(ctx context.Context, begin func(ledger.Head) error, row func(ledger.StateRow) error) error {
	done := false
	return c.StateReader.State(ctx, begin, func(r ledger.StateRow) error {
		if r.Table == c.table && !done {
			done = true
			if c.change(&r); r.Table == "" {
				return nil
			}
		}
		return row(r)
	})
}

func tables(t *testing.T, h *hub) map[string]int {
	t.Helper()
	b := recorder.NewRebuilt(h.store, h.keys)
	h.must(b.Follow(t.Context(), 0, nil))
	rows, err := b.Rows()
	h.must(err)
	return rows
}

// written is everything that was rebuilt, as text.
func written(t *testing.T, h *hub) string {
	t.Helper()
	b := recorder.NewRebuilt(h.store, h.keys)
	b.Keep = true
	h.must(b.Follow(t.Context(), 0, nil))
	var out bytes.Buffer
	h.must(b.Write(&out))
	return out.String()
}

// history sends messages of every kind for some patients, in an order that chance makes.
func history(t *testing.T, h *hub, random *rand.Rand, mrns ...string) {
	t.Helper()
	run := fmt.Sprint(random.Uint32())
	n := 0
	next := func() string { n++; return fmt.Sprintf("h%s-%d", run, n) }
	send := func(org ledger.Organization, body []byte, headers ...string) streams.Answer {
		m := message(org, next(), body)
		m.Header = map[string][]string{}
		for i := 0; i < len(headers); i += 2 {
			m.Header.Set(headers[i], headers[i+1])
		}
		a := h.call(m)
		if random.IntN(4) == 0 {
			h.call(m) // a repeat
		}
		return a
	}
	pharmacies := []ledger.Organization{h.oldBridge, h.harbour}
	for _, mrn := range mrns {
		id := func(s string) string { return mrn + run + s }
		for i := range 6 {
			body := of(mrn, with(order(id(fmt.Sprint(i)), []string{oldBridgeNPI, "1336490128", "0000000000"}[i%3], "Amoxicillin <&>"), `"dispenseRequest":{`,
				fmt.Sprintf(`"dispenseRequest":{"numberOfRepeatsAllowed":%d,`, i%3)))
			a := send(h.clinic, body)
			rx := a.Resources[0].Rx
			switch i {
			case 1:
				send(h.clinic, withStatus(body, "on-hold"))
				send(h.clinic, body)
			case 2: // routed to nobody: the patient chooses
				who, _ := h.patient(h.clinic, mrn)
				h.fact(recorder.FactNomination, recorder.NominationFact{Patient: who.Patient.String(), Pharmacy: h.harbour.ID.String(), Prescription: rx})
				h.fact(recorder.FactRequest, recorder.RequestFact{Org: h.clinic.ID, Patient: who.Patient, Kind: ledger.RequestAmendment, Text: "dose", By: "p"})
			case 3:
				send(h.clinic, with(body, "Amoxicillin", "Ampicillin"), streams.HeaderMatch, fmt.Sprint(a.Resources[0].Version), streams.HeaderID, rx)
				send(h.clinic, with(body, "Amoxicillin", "Aspirin")) // other content, without a match: a conflict
			case 4:
				send(h.clinic, with(of(mrn, order(id("new"), oldBridgeNPI, "X")), `"intent"`, `"priorPrescription":{"identifier":{"system":"urn:rx","value":"`+id("4")+`"}},"intent"`))
			}
			for range random.IntN(8) {
				pharmacy := pharmacies[random.IntN(2)]
				status := []string{"preparation", "in-progress", "completed", "on-hold", "cancelled", "declined", "entered-in-error"}[random.IntN(7)]
				send(pharmacy, dispense(id(fmt.Sprint("d", i, random.IntN(3))), status, rx), streams.HeaderClaim, fmt.Sprint(random.IntN(3)))
			}
			send(pharmacies[0], dispense(id(fmt.Sprint("z", i)), "completed", rx))
			h.fact(recorder.FactDue, recorder.DueFact{Prescription: rx})
			h.fact(recorder.FactSilent, recorder.SilentFact{Prescription: rx, Pharmacy: h.oldBridge.ID.String()})
		}
		send(h.clinic, withStatus(of(mrn, order(id("late"), oldBridgeNPI, "X")), "cancelled")) // a tombstone
		send(h.clinic, of(mrn, order(id("late"), oldBridgeNPI, "X")))
		send(h.clinic, bundleOf("batch", of(mrn, order(id("b1"), oldBridgeNPI, "X")), []byte(`{"resourceType":"MedicationRequest"}`), of(mrn, order(id("b2"), oldBridgeNPI, "Y"))))
		two := send(h.clinic, bundleOf("transaction", of(mrn, order(id("t1"), oldBridgeNPI, "X")), of(mrn, order(id("t2"), oldBridgeNPI, "Y"))))
		if len(two.Resources) == 2 {
			send(h.oldBridge, bundleOf("transaction", dispense(id("td1"), "preparation", two.Resources[0].Rx), dispense(id("td2"), "preparation", two.Resources[1].Rx)))
		}
		send(h.oldBridge, []byte(`{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"`+id("own")+`"}],"status":"completed",
 "medicationCodeableConcept":{"text":"x"},"subject":{"identifier":{"system":"urn:mrn","value":"`+mrn+`"}}}`))
		own := send(h.clinic, of(mrn, order(id("c"), oldBridgeNPI, "X"))).Resources[0].Rx
		send(h.oldBridge, dispense(id("dc"), "preparation", own))
		send(h.oldBridge, dispense(id("dc"), "completed", own), streams.HeaderClaim, "9") // flagged for its number alone
		// another patient's subject on a cancel: the prescription's own patient keeps the record
		send(h.clinic, withStatus(of("other-"+mrn, order(id("0"), oldBridgeNPI, "Amoxicillin <&>")), "cancelled"))
		h.publish(h.clinic, next(), of(mrn, order(id("p"), oldBridgeNPI, "published")))
		send(h.clinic2, of(mrn, order(id("n"), oldBridgeNPI, "Bisoprolol")))
		here, _ := h.patient(h.clinic, mrn)
		there, _ := h.patient(h.clinic2, mrn)
		h.fact(recorder.FactLink, recorder.LinkFact{Patient: here.Patient, Other: there.Patient})
		if first, ok := h.patient(h.clinic, mrns[0]); ok && random.IntN(2) == 0 {
			h.fact(recorder.FactLink, recorder.LinkFact{Patient: there.Patient, Other: first.Patient})
			h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: here.Patient, By: recorder.ByPatient})
			h.fact(recorder.FactLink, recorder.LinkFact{Patient: here.Patient, Other: first.Patient})
		}
	}
	held := h.fact(recorder.FactHold, recorder.HoldFact{Org: h.clinic2.ID, Reason: "audit"})
	if random.IntN(2) == 0 {
		h.fact(recorder.FactHold, recorder.HoldFact{Org: h.clinic2.ID, Reason: "another"})
		h.fact(recorder.FactHold, recorder.HoldFact{Release: mustID(t, held.Resources[0].ID), Reason: "over"})
	}
	changed := h.harbour
	changed.Name = "Harbour " + run
	h.fact(recorder.FactOrganization, recorder.OrganizationFact{Organization: changed})
}

// TestRebuildWithoutQuarantineKeys: a wrong collect code is nobody's record, sealed for as long as a refusal is
// kept. When its key is gone the rest is rebuilt as before, and that it was decided is still demanded.
func TestRebuildWithoutQuarantineKeys(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option)
			rx, patient := h.waiting("A-1")
			code, _ := h.code(rx, patient, 1)
			stale := collect.Code{Locator: collect.Locator(rx, 9), Secret: code.Secret}
			for i := range 3 {
				body := uncited(fmt.Sprint("D-", i), "preparation")
				if a := h.show(h.harbour, fmt.Sprint("try-", i), body, stale.Prove(body)); a.Status != 409 || a.Index == nil {
					t.Fatalf("wrong code: %+v", a)
				}
			}
			body := uncited("D-9", "completed")
			if a := h.show(h.harbour, "right", body, code.Prove(body)); a.Status != 201 {
				t.Fatalf("right code: %+v", a)
			}
			h.verify()
			today := time.Now().UnixMilli() / (24 * time.Hour).Milliseconds()
			if n, err := h.keys.ExpireQuarantine(t.Context(), today-2, today+1); err != nil || n == 0 {
				t.Fatalf("%d keys expired, %v", n, err)
			}
			h.keys.ForgetAll()
			h.verify()
			b := recorder.NewRebuilt(h.store, h.keys)
			h.must(b.Follow(t.Context(), 0, nil))
			if b.Erased != 3 {
				t.Errorf("%d records cannot be opened, want 3", b.Erased)
			}
			last := func(reason string, change func(r *ledger.StateRow)) {
				t.Helper()
				var d *recorder.Difference
				_, err := recorder.NewRebuilt(h.store, h.keys).Check(t.Context(), every{h.store, change}, nil)
				if !errors.As(err, &d) || d.Table != "message" || d.Reason != reason {
					t.Errorf("%s: %v", reason, err)
				}
			}
			lapsed := ""
			for row, err := range h.store.Rows(t.Context(), 0) {
				h.must(err)
				if row.Record == nil {
					continue
				}
				if _, err := h.keys.Key(t.Context(), row.Record.KeyID); errors.Is(err, ledger.ErrErased) {
					lapsed = row.Record.ID.String()
				}
			}
			last(recorder.MissingRow, func(r *ledger.StateRow) {
				if strings.Contains(r.Text, lapsed) {
					r.Table = ""
				}
			})
			last(recorder.ForeignRow, func(r *ledger.StateRow) {
				if r.Table == "message" && strings.Contains(r.Text, lapsed) {
					r.Text = strings.Replace(r.Text, lapsed, rx.String(), 1)
				}
			})
		})
	}
}

// every changes rows on their way; one without a table is dropped.
type every struct {
	ledger.StateReader
	change func(*ledger.StateRow)
}

func (e every) State(ctx context.Context, begin func(ledger.Head) error, row func(ledger.StateRow) error) error {
	return e.StateReader.State(ctx, begin, func(r ledger.StateRow) error {
		if e.change(&r); r.Table == "" {
			return nil
		}
		return row(r)
	})
}
