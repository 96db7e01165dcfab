package recorder_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// TestLostIntakeIsMadeAnew: somebody deletes RX_INTAKE while the recorder runs. It is not well until
// the stream is there again, under a new epoch, and says so.
func TestLostIntakeIsMadeAnew(t *testing.T) {
	h := open(t)
	h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	before, err := h.store.Head(t.Context())
	h.must(err)
	h.must(h.js.DeleteStream(t.Context(), streams.Intake))
	unwell := false
	until := time.Now().Add(20 * time.Second)
	for {
		unwell = unwell || h.recorder.Healthy() != nil
		if _, err := h.js.Stream(t.Context(), streams.Intake); err == nil && h.recorder.Healthy() == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("RX_INTAKE was not made anew in 20 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !unwell {
		t.Error("the recorder was well without its stream")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, err := h.caller.Call(ctx, message(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")), 10*time.Second)
	if err != nil || a.Status != 201 {
		t.Fatalf("after the loss: %+v, %v", a, err)
	}
	h.verify()
	if after, err := h.store.Head(t.Context()); err != nil || after.Epoch != before.Epoch+1 {
		t.Errorf("epoch %d after %d", after.Epoch, before.Epoch)
	}
}

// alter changes a database of the hub past its triggers.
func (h *hub) alter(name, query string) {
	h.t.Helper()
	h.harmed = true
	db, err := sql.Open("sqlite", filepath.Join(h.dir, name))
	h.must(err)
	defer db.Close()
	result, err := db.ExecContext(h.t.Context(), query)
	h.must(err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		h.t.Fatalf("%s: touched %d rows, %v", query, n, err)
	}
}

// halts waits for the end of a recorder and returns its error.
func (h *hub) halts() error {
	h.t.Helper()
	select {
	case err := <-h.done:
		h.done <- nil // for close
		if h.recorder.Healthy() == nil {
			h.t.Error("a recorder that has halted is well")
		}
		return err
	case <-time.After(20 * time.Second):
		h.t.Fatal("the recorder goes on")
		return nil
	}
}

// TestWhatIsBrokenForAllHalts: a fault that is not the message's ends the recorder, and is not taken
// for a bad message, whether anything comes or not.
func TestWhatIsBrokenForAllHalts(t *testing.T) {
	for name, tt := range map[string]struct {
		db, query string
		want      error
	}{
		"all keys deleted":        {"keys.db", "DELETE FROM patient_key", ledger.ErrOwnKey},
		"all keys, index and all": {"keys.db", "DELETE FROM patient_index", ledger.ErrOwnKey},
		"leaf of the last entry":  {"records.db", "UPDATE ledger SET leaf = zeroblob(32) WHERE idx = (SELECT max(idx) FROM ledger)", ledger.ErrHead},
		"the last entry cut off":  {"records.db", "DELETE FROM ledger WHERE idx = (SELECT max(idx) FROM ledger)", ledger.ErrHead},
		"an entry behind the head": {"records.db", `INSERT INTO ledger (idx, entry, leaf)
			SELECT idx + 1, CAST(substr(entry, 1, 2) || unhex(printf('%016X', idx + 1)) || substr(entry, 11, 8) || leaf || substr(entry, 51) AS BLOB), randomblob(32)
			FROM ledger WHERE idx = (SELECT max(idx) FROM ledger)`, ledger.ErrHead},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, busy %v", name, busy), func(t *testing.T) {
				h := open(t)
				h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
				if tt.db == "records.db" {
					for _, trigger := range h.triggers("ledger") {
						h.drop(trigger)
					}
				}
				h.alter(tt.db, tt.query)
				if busy {
					h.publish(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole"))
				}
				if err := h.halts(); !errors.Is(err, tt.want) {
					t.Errorf("Run: %v, want %v", err, tt.want)
				}
				if rows := h.quarantined(); rows != 0 {
					t.Errorf("%d messages were quarantined", rows)
				}
			})
		}
	}
}

func (h *hub) triggers(table string) (names []string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "records.db"))
	h.must(err)
	defer db.Close()
	rows, err := db.QueryContext(h.t.Context(), `SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?`, table)
	h.must(err)
	defer rows.Close()
	for rows.Next() {
		var name string
		h.must(rows.Scan(&name))
		names = append(names, name)
	}
	h.must(rows.Err())
	return names
}

func (h *hub) drop(trigger string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "records.db"))
	h.must(err)
	defer db.Close()
	_, err = db.ExecContext(h.t.Context(), `DROP TRIGGER `+trigger)
	h.must(err)
}

func (h *hub) quarantined() (n int) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "records.db"))
	h.must(err)
	defer db.Close()
	h.must(db.QueryRowContext(h.t.Context(), `SELECT count(*) FROM quarantine`).Scan(&n))
	return n
}

// unheard is a store whose next commit happens and is not heard of.
type unheard struct {
	recorder.Store
	next atomic.Bool
}

func (s *unheard) Commit(ctx context.Context, b *ledger.Batch) error {
	if err := s.Store.Commit(ctx, b); err != nil || !s.next.CompareAndSwap(true, false) {
		return err
	}
	return fault.Of(fault.CodeUnavailable)
}

// TestWhatACommitInDoubtHasChanged is known afterwards: what somebody takes, who was chosen, who may send.
func TestWhatACommitInDoubtHasChanged(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			var store *unheard
			h := open(t, option, func(h *hub) {
				h.wrap = func(s recorder.Store) recorder.Store { store = &unheard{Store: s}; return store }
			})
			inDoubt := func(m streams.Message) {
				t.Helper()
				before, err := h.store.Head(t.Context())
				h.must(err)
				store.next.Store(true)
				h.must(h.publisher.Publish(t.Context(), m))
				for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // another process works
					if head, err := h.store.Head(t.Context()); err == nil && head.Seq > before.Seq && !store.next.Load() {
						return
					}
					if time.Now().After(end) {
						t.Fatal("nothing was committed")
					}
				}
			}
			fact := func(kind string, f any) streams.Message {
				body, err := json.Marshal(f)
				h.must(err)
				return streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(kind), Body: body}
			}
			h.issued(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "one"))
			inDoubt(message(h.clinic, "m2", coded("A-2", oldBridgeNPI, rxNorm, "two")))
			if _, signals := h.issued(h.clinic, "m3", coded("A-3", oldBridgeNPI, rxNorm, "two")); !signals {
				t.Error("nothing is said of a double")
			}
			who, _ := h.patient(h.clinic, "M-1")
			inDoubt(fact(recorder.FactNomination, recorder.NominationFact{Patient: who.Patient.String(), Pharmacy: h.harbour.ID.String()}))
			rx, _ := h.issued(h.clinic, "m4", with(coded("A-4", "", rxNorm, "four"),
				`"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":""}}`, `"numberOfRepeatsAllowed":1`))
			if p, err := h.store.Prescription(t.Context(), mustID(t, rx)); err != nil || p.Pharmacy != h.harbour.ID {
				t.Errorf("an order goes to %v, %v; its patient has chosen %v", p.Pharmacy, err, h.harbour.ID)
			}
			gone := h.clinic2
			gone.Disabled = true
			inDoubt(fact(recorder.FactOrganization, recorder.OrganizationFact{Organization: gone}))
			if a := h.send(h.clinic2, "m5", order("A-5", oldBridgeNPI, "Amoxicillin")); a.Code != string(fault.CodeOrganization) {
				t.Errorf("whoever may send no more: %d %s", a.Status, a.Code)
			}
		})
	}
}
