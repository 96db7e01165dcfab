package recorder_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// TestHoldsOutliveTheirTable: who can delete the rows of table hold, the hub's own role or a superuser,
// cannot have the patient erased by that.
func TestHoldsOutliveTheirTable(t *testing.T) {
	onPostgres := func(before string) func(*testing.T, *hub) {
		return func(t *testing.T, h *hub) {
			c := connect(t, h.dsn[0])
			for _, q := range []string{before, `DELETE FROM hold`} {
				_, err := c.Exec(t.Context(), q)
				h.must(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		open []func(*hub)
		wipe func(*testing.T, *hub)
	}{
		"sqlite": {nil, func(t *testing.T, h *hub) {
			db, err := sql.Open("sqlite", filepath.Join(h.dir, "records.db"))
			h.must(err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), `DELETE FROM hold`)
			h.must(err)
		}},
		"postgres, the hub's role": {[]func(*hub){(*hub).onPostgres}, onPostgres(`SET ROLE dosewire_hub`)},
		"postgres, a superuser":    {[]func(*hub){(*hub).onPostgres}, onPostgres(`SET session_replication_role = replica`)},
	} {
		t.Run(name, func(t *testing.T) {
			var alarms alarms
			h := open(t, append(tt.open, func(h *hub) { h.config.Damaged = alarms.add })...)
			h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
			h.send(h.clinic, "m2", of("M-2", order("B-1", oldBridgeNPI, "Omeprazole")))
			who, _ := h.patient(h.clinic, "M-1")
			them, _ := h.patient(h.clinic, "M-2")
			erase := func(who ledger.PatientKey, code fault.Code) {
				t.Helper()
				if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Code != string(code) || (code == "") != (a.Status/100 == 2) {
					t.Errorf("erase: %+v, want %q", a, code)
				}
			}
			var placed []ledger.ID
			for _, f := range []recorder.HoldFact{{Org: h.clinic.ID, Patient: who.Patient, Reason: "case"}, {Org: h.clinic.ID, Reason: "audit"},
				{Org: h.clinic.ID, Reason: "another"}, {Org: h.clinic2.ID, Reason: "a stranger's"}} {
				placed = append(placed, mustID(t, h.fact(recorder.FactHold, f).Resources[0].ID))
			}
			release := func(id ledger.ID, want int) {
				t.Helper()
				if a := h.fact(recorder.FactHold, recorder.HoldFact{Release: id, Reason: "over"}); a.Status != want {
					t.Errorf("release: %+v, want %d", a, want)
				}
			}
			release(placed[2], 200)
			tt.wipe(t, h)
			erase(who, fault.CodeLegalHold)
			erase(them, fault.CodeLegalHold) // the organisation's
			rec, err := h.store.Record(t.Context(), placed[0])
			h.must(err)
			if !alarms.has(rec.Index, ledger.ErrHold) {
				t.Errorf("no alarm for entry %d: %v", rec.Index, alarms.seen)
			}
			release(placed[1], 200) // it can be ended although its row is gone
			release(placed[1], 404)
			release(placed[2], 404)
			release(mustID(t, rec.KeyID.String()), 404)
			erase(who, fault.CodeLegalHold)
			erase(them, "")
			release(placed[0], 200)
			erase(who, "")
			release(placed[3], 200) // so that the table is what the facts say
			h.finished()
		})
	}
}

// alarms are what the recorder found damaged.
type alarms struct {
	mu   sync.Mutex
	seen map[uint64]error
}

func (a *alarms) add(_ context.Context, index uint64, _ ledger.ID, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = map[uint64]error{}
	}
	a.seen[index] = err
}

func (a *alarms) has(index uint64, want error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Is(a.seen[index], want)
}
