package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// canaries are fragments that nobody else uses.
var canaries = []string{"Zyxwina-Canary", "CANARY-MRN-88123", "Canaryvir-forte", "CANARY-RX-4711", "canary-street"}

func canaryOrder(mrn, rx string) string {
	return fmt.Sprintf(`{"resourceType":"MedicationRequest","contained":[
  {"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"%s"}],"name":[{"family":"Zyxwina-Canary"}],"birthDate":"1980-02-29","address":[{"line":["canary-street 1"]}]},
  {"resourceType":"Practitioner","id":"d","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1093817465"}],"name":[{"family":"Okafor"}]}],
 "identifier":[{"system":"urn:rx","value":"%s"}],"status":"active","intent":"order","medicationCodeableConcept":{"text":"Canaryvir-forte"},
 "subject":{"reference":"#p"},"requester":{"reference":"#d"},"dosageInstruction":[{"text":"once daily"}],
 "dispenseRequest":{"performer":{"identifier":{"system":"urn:npi","value":"1"}}}}`, mrn, rx)
}

// served is a hub with everything that it writes.
type served struct {
	*Hub
	t     *testing.T
	op    *admin.Client
	log   *diaryLog
	stop  func() error
	files []string // folders in which nothing may be found
}

func serveAll(t *testing.T, c Config, log *diaryLog) *served {
	t.Helper()
	h, err := New(t.Context(), c, Options{Adapters: all.List(), Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	select {
	case <-h.Ready():
	case err := <-done:
		cancel()
		t.Fatalf("the hub ended: %v\n%s", err, log)
	}
	s := &served{Hub: h, t: t, op: admin.NewClient(h.AdminSocket()), log: log, files: []string{c.Data}}
	s.stop = func() error { cancel(); err := <-done; done <- err; return err }
	t.Cleanup(func() {
		if err := s.stop(); t.Failed() {
			t.Logf("the hub ended: %v\n%s", err, log)
		}
	})
	return s
}

// post sends a resource as an organisation and returns status, body and the Location's last part.
func (s *served) call(cred admin.Credential, method, path, body string) (int, string, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL()+"/fhir/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+cred.Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_, id, _ := strings.Cut(resp.Header.Get("Location"), "MedicationRequest/")
	id, _, _ = strings.Cut(id, "/")
	return resp.StatusCode, string(answer), id
}

// find lists the files that hold a fragment.
func (s *served) find(fragments ...[]byte) (found []string) {
	s.t.Helper()
	for _, dir := range s.files {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a temporary file
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return nil
			}
			for _, f := range fragments {
				if bytes.Contains(b, f) {
					found = append(found, fmt.Sprintf("%s holds %.20q", name, f))
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, f := range fragments {
		if strings.Contains(s.log.String(), string(f)) {
			found = append(found, fmt.Sprintf("the log holds %.20q", f))
		}
	}
	return found
}

func fragments() (all [][]byte) {
	for _, c := range canaries {
		all = append(all, []byte(c))
	}
	return all
}

func TestErasureLeavesNothing(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { erasureLeavesNothing(t, lab(t), nil) })
	t.Run("postgres", func(t *testing.T) {
		c := lab(t)
		c.Store = Store{DSN: postgresServer.Database(t), KeysDSN: postgresServer.Database(t), Migrate: true}
		exec := func(sql string) string {
			conn, err := pgx.Connect(t.Context(), c.Store.KeysDSN)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			var text *string
			if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				t.Fatalf("%s: %v", sql, err)
			}
			if text == nil {
				return ""
			}
			return *text
		}
		exec("ALTER SYSTEM SET wal_recycle = off") // as docs/erasure.md says of the key database's server
		exec("SELECT pg_reload_conf()::text")
		erasureLeavesNothing(t, c, exec)
	})
}

// erasureLeavesNothing records, looks for plaintext, erases, and looks for the key. exec runs SQL on the
// key database's server; nil means SQLite.
func erasureLeavesNothing(t *testing.T, c Config, exec func(string) string) {
	s := serveAll(t, c, &diaryLog{})
	if exec != nil {
		s.files = append(s.files, exec("SHOW data_directory"))
	}
	clinic, err := s.op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	pharmacy, err := s.op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Old Bridge", Identifiers: []string{"urn:npi|1"}})
	if err != nil {
		t.Fatal(err)
	}
	order := canaryOrder("CANARY-MRN-88123", "CANARY-RX-4711")
	status, body, id := s.call(clinic, "POST", "MedicationRequest", order)
	if status != 201 {
		t.Fatalf("POST: %d %s", status, body)
	}
	_, _, other := s.call(clinic, "POST", "MedicationRequest", canaryOrder("other", "other"))
	nc := strings.Replace(order, `"intent":"order"`, `"intent":"wish"`, 1)
	if status, _, _ := s.call(clinic, "POST", "MedicationRequest", nc); status != 422 {
		t.Errorf("an invalid one: %d", status)
	}
	if status, body, _ := s.call(pharmacy, "GET", "MedicationRequest/"+id, ""); status != 200 || !strings.Contains(body, "Canaryvir-forte") {
		t.Errorf("the pharmacy reads: %d", status)
	}
	if found := s.find(fragments()...); len(found) > 0 {
		t.Errorf("plaintext after recording:\n%s", strings.Join(found, "\n"))
	}

	who := admin.Patient{Org: clinic.Org, System: "urn:mrn", Value: "CANARY-MRN-88123"}
	blob, backup := s.theirs(who, id)
	if found := s.find(blob); len(found) == 0 {
		t.Fatal("the wrapped key is nowhere: the search proves nothing")
	}
	asked := admin.EraseRequest{Patient: who, Reason: "art. 17", By: "test"}
	if e, err := s.op.Erase(t.Context(), asked); err != nil || e.Refused != string(fault.CodeRetention) || e.Entry == nil || e.RetainedUntil.Before(time.Now().AddDate(5, 11, 0)) {
		t.Errorf("in the retention period: %+v, %v", e, err)
	}
	asked.Force = recorder.ForceBeforeRetention
	asked.DryRun = true
	if e, err := s.op.Erase(t.Context(), asked); err != nil || e.Refused != "" || e.Records != 1 || e.Prescriptions != 1 || e.Entry != nil {
		t.Errorf("dry run: %+v, %v", e, err)
	}
	asked.DryRun = false
	e, err := s.op.Erase(t.Context(), asked)
	if err != nil || e.Refused != "" || !e.Finished || e.Records != 1 {
		t.Fatalf("erase: %+v, %v", e, err)
	}

	for range 2 { // now and after a restart
		for name, cred := range map[string]admin.Credential{"clinic": clinic, "pharmacy": pharmacy} {
			for _, path := range []string{"MedicationRequest/" + id, "MedicationRequest/" + id + "/_history/1"} {
				if status, body, _ := s.call(cred, "GET", path, ""); status != 410 || !strings.Contains(body, "OperationOutcome") || !strings.Contains(body, string(fault.CodeErased)) {
					t.Errorf("the %s reads %s: %d %s", name, strings.Replace(path, id, "ID", 1), status, body)
				}
			}
		}
		if status, _, _ := s.call(clinic, "GET", "MedicationRequest/"+other, ""); status != 200 {
			t.Errorf("another patient's: %d", status)
		}
		if status, body, _ := s.call(clinic, "POST", "MedicationRequest", order); status != 410 {
			t.Errorf("the message again: %d %s", status, body)
		}
		if v, err := s.op.Verify(t.Context(), admin.Verification{}, nil); err != nil || v.Bad != nil || v.Erased != 1 {
			t.Errorf("verify: %+v, %v", v, err)
		}
		if _, err := s.keys.Key(t.Context(), backup.KeyID); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("the key of a record in a backup: %v, want ErrErased", err)
		}
		if exec != nil {
			for range 2 { // the log's segments from before go with a checkpoint
				exec("SELECT pg_switch_wal()::text")
				exec("CHECKPOINT")
			}
		}
		if found := s.find(append(fragments(), blob)...); len(found) > 0 {
			t.Errorf("after the erasure:\n%s", strings.Join(found, "\n"))
		}
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		files := s.files
		s = serveAll(t, c, s.log)
		s.files = files
	}
}

// theirs is the wrapped key of a patient, and a record as a backup holds it.
func (s *served) theirs(who admin.Patient, record string) ([]byte, ledger.Record) {
	s.t.Helper()
	key, err := s.locate(s.t.Context(), who)
	if err != nil {
		s.t.Fatal(err)
	}
	wrapped, err := s.databases.keys.Keys(s.t.Context(), []ledger.ID{key.KeyID})
	if err != nil {
		s.t.Fatal(err)
	}
	var id ledger.ID
	if err := id.UnmarshalText([]byte(record)); err != nil {
		s.t.Fatal(err)
	}
	r, err := s.databases.records.Record(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return wrapped[key.KeyID].Blob, r
}

// A key database from a backup: the erased keys are deleted again before anybody is served, and one that
// is too old is named.
func TestRestoredKeys(t *testing.T) {
	c := lab(t)
	s := serveAll(t, c, &diaryLog{})
	clinic, err := s.op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, first := s.call(clinic, "POST", "MedicationRequest", canaryOrder("one", "one"))
	s.stop()
	before := keep(t, c) // one patient
	s = serveAll(t, c, s.log)
	_, _, second := s.call(clinic, "POST", "MedicationRequest", canaryOrder("two", "two"))
	s.stop()
	whole := keep(t, c) // both
	s = serveAll(t, c, s.log)
	blob, old := s.theirs(admin.Patient{Org: clinic.Org, System: "urn:mrn", Value: "one"}, first)
	if e, err := s.op.Erase(t.Context(), admin.EraseRequest{Patient: admin.Patient{Org: clinic.Org, System: "urn:mrn", Value: "one"},
		Reason: "art. 17", Force: recorder.ForceBeforeRetention}); err != nil || !e.Finished {
		t.Fatalf("erase: %+v, %v", e, err)
	}
	s.stop()

	restore(t, c, whole)
	if found := s.find(blob); len(found) == 0 {
		t.Fatal("the restored key is nowhere: the test proves nothing")
	}
	s = serveAll(t, c, s.log)
	if !strings.Contains(s.log.String(), "had come back from a backup") || s.returned.Load() != 1 {
		t.Error("a key that came back is not named")
	}
	if _, err := s.keys.Key(t.Context(), old.KeyID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("the key that came back: %v, want ErrErased", err)
	}
	if found := s.find(blob); len(found) > 0 {
		t.Errorf("the key that came back: %v", found)
	}
	if status, _, _ := s.call(clinic, "GET", "MedicationRequest/"+first, ""); status != 410 {
		t.Errorf("read: %d, want 410", status)
	}
	if status, _, _ := s.call(clinic, "GET", "MedicationRequest/"+second, ""); status != 200 {
		t.Errorf("read another: %d, want 200", status)
	}
	s.stop()

	restore(t, c, before)
	h, err := New(t.Context(), c, Options{Adapters: all.List(), Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(t.Context()); !errors.Is(err, ErrKeysMissing) || fault.KindOf(err) != fault.Tampered {
		t.Errorf("an old key database: %v, want ErrKeysMissing", err)
	}
	c.Keys.Missing = acceptMissing
	s = serveAll(t, c, s.log)
	if _, err := s.keys.Key(t.Context(), old.KeyID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("the erased key: %v, want ErrErased", err)
	}
}

// keep copies the key database's folder, as a backup does.
func keep(t *testing.T, c Config) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Dir(c.keysFile()))); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "keys")
}

func restore(t *testing.T, c Config, from string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		name := c.keysFile() + suffix
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(from, filepath.Base(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Quarantine ends after 30 days, and so do the keys of its days.
func TestQuarantineExpires(t *testing.T) {
	s := serveAll(t, lab(t), &diaryLog{})
	today := time.Now().UnixMilli() / dayMillis
	var ids [3]ledger.ID
	for i, day := range []int64{today - quarantineDays - 1, today - quarantineDays, today} {
		k, err := s.keys.Quarantine(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = k.KeyID
	}
	if err := s.expireQuarantine(t.Context(), passBack); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true} {
		if _, err := s.keys.Key(t.Context(), ids[i]); (err == nil) != want || !want && !errors.Is(err, ledger.ErrErased) {
			t.Errorf("key %d: %v, want it there: %v", i, err, want)
		}
	}
}
