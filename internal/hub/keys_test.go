package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/awskms/kmstest"
	"github.com/dosewire/dosewire/ledger/sqlite"
	"github.com/dosewire/dosewire/streams"
)

// withKMS is the configuration of a hub whose deployment key is under a KMS key.
func withKMS(t *testing.T, c Config) (*kmstest.Server, Config) {
	t.Helper()
	s := kmstest.New()
	served := httptest.NewServer(s)
	t.Cleanup(served.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", strings.Repeat("s", 40)) // as long as AWS's
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	c.Keys = Keys{KMS: s.NewKey(), KMSEndpoint: served.URL}
	return s, c
}

// prescribe posts prescription n, for patient n, and returns its id.
func prescribe(t *testing.T, h *Hub, clinic admin.Credential, n int) string {
	t.Helper()
	body := fmt.Sprintf(`{"resourceType":"MedicationRequest","status":"active","intent":"order",
	  "identifier":[{"system":"https://riverside.example/rx","value":"RX-%d"}],
	  "contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Test","given":["Number %d"]}],"birthDate":"1980-02-03",
	    "identifier":[{"system":"https://riverside.example/mrn","value":"M-%d"}]}],
	  "medicationCodeableConcept":{"text":"Amoxicillin 500 mg"},"subject":{"reference":"#p"},
	  "authoredOn":"2026-03-01","requester":{"display":"Dr Reed"},"dosageInstruction":[{"text":"one three times a day"}]}`, n, n, n)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+"/fhir/MedicationRequest", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Authorization", "Bearer "+clinic.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		t.Fatalf("prescription %d: %s", n, resp.Status)
	}
	return resp.Header.Get(streams.HeaderID)
}

// TestRecordingGoesOnWithoutKMS: the deployment key is held for the process's life. Only a start needs
// KMS, waits for it and says so.
func TestRecordingGoesOnWithoutKMS(t *testing.T) {
	kms, c := withKMS(t, lab(t))
	h, stop := run(t, c, all.List()...)
	op := admin.NewClient(h.AdminSocket())
	clinic, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	prescribe(t, h, clinic, 1)
	for i, trouble := range []kmstest.Trouble{
		{Cut: true}, {Code: "ThrottlingException"}, {Code: "AccessDeniedException"}, {Code: "KMSInternalException", Status: 500}, {Delay: time.Minute},
	} {
		kms.Trouble(trouble)
		before := kms.Requests()
		for j := range 5 {
			prescribe(t, h, clinic, 10*(i+1)+j) // a patient nobody has seen: a new key
		}
		if n := kms.Requests() - before; n != 0 {
			t.Errorf("%+v: recording asked KMS %d times", trouble, n)
		}
	}
	kms.Trouble(kmstest.Trouble{Cut: true})
	if _, err := op.RotateKeys(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("rotate without KMS: %v, want it to be unavailable", err)
	}
	if v, err := op.Verify(t.Context(), admin.Verification{}, nil); err != nil || v.Bad != nil || v.Records < 27 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}

	log := &diaryLog{}
	again, err := New(t.Context(), c, Options{Adapters: all.List(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Run(ctx) }()
	waitFor(t, "a word about it", func() bool { return strings.Contains(log.String(), "cannot be unwrapped; trying again") })
	if !strings.Contains(log.String(), "KMS cannot be reached") {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	kms.Trouble(kmstest.Trouble{})
	select {
	case <-again.Ready():
	case err := <-done:
		t.Fatalf("the hub ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready 30 s after KMS came back\n%s", log)
	}
	prescribe(t, again, clinic, 1000)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestStartWithADeniedKey does not wait for what does not pass by itself.
func TestStartWithADeniedKey(t *testing.T) {
	kms, c := withKMS(t, lab(t))
	kms.Set(c.Keys.KMS, kmstest.PendingDeletion)
	h, err := New(t.Context(), c, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(t.Context()); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "cancel-key-deletion") {
		t.Errorf("Run: %v, want the advice to cancel the deletion", err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 30 s", what)
		}
	}
}

// TestRotateWhileRecording rotates and rewraps in a running hub; every digest stays, and both steps work
// without a hub too.
func TestRotateWhileRecording(t *testing.T) {
	c := lab(t)
	h, stop := run(t, c, all.List()...)
	op := admin.NewClient(h.AdminSocket())
	clinic, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		prescribe(t, h, clinic, i)
	}
	before := digests(t, c)
	rotation, err := op.RotateKeys(t.Context())
	if err != nil || rotation.Generation != 2 || !rotation.Stated {
		t.Fatalf("rotate: %+v, %v", rotation, err)
	}
	status, err := op.KeyStatus(t.Context())
	if err != nil || len(status.Generations) != 2 || status.Behind < 21 || !status.Running || status.Cached == nil {
		t.Errorf("status: %+v, %v", status, err)
	}
	prescribe(t, h, clinic, 100)
	var seen int
	rewrap, err := op.RewrapKeys(t.Context(), func(admin.Progress) { seen++ })
	if err != nil || rewrap.Keys != status.Behind || len(rewrap.Retired) != 1 || seen == 0 {
		t.Errorf("rewrap: %+v, %v, %d times progress", rewrap, err, seen)
	}
	prescribe(t, h, clinic, 101)
	prescribe(t, h, clinic, 3)
	if status, err = op.KeyStatus(t.Context()); err != nil || len(status.Generations) != 1 || status.Behind != 0 || status.Generations[0].Number != 2 {
		t.Errorf("status: %+v, %v", status, err)
	}
	text, err := json.Marshal(status)
	if err != nil || bytes.Contains(text, []byte("blob")) {
		t.Errorf("status shows %s, %v", text, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	after := digests(t, c)
	for id, digest := range before {
		if after[id] != digest {
			t.Errorf("the row of %s was changed by a rotation", id)
		}
	}
	if n := statements(t, c, "dosewire keys\ngeneration: 2\nid: "+rotation.ID+"\n"); n != 1 {
		t.Errorf("the rotation is stated %d times", n)
	}

	// Without a hub: the next one states it, once, however often it starts.
	desk, err := OpenKeyDesk(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rotation, err = desk.RotateKeys(t.Context())
	if err != nil || rotation.Generation != 3 || rotation.Stated {
		t.Errorf("rotate without a hub: %+v, %v", rotation, err)
	}
	if rewrap, err := desk.RewrapKeys(t.Context(), nil); err != nil || rewrap.Keys != status.Keys {
		t.Errorf("rewrap without a hub: %+v, %v", rewrap, err)
	}
	if err := desk.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		h, stop = run(t, c, all.List()...)
		prescribe(t, h, clinic, 5)
		waitFor(t, "the statement", func() bool { return statements(t, c, rotation.ID) == 1 })
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	if v, err := VerifyStore(t.Context(), c, admin.Verification{}, nil); err != nil || v.Bad != nil || v.Statements != 3 {
		t.Errorf("verify: %+v, %v, want 3 statements", v, err)
	}
}

// digests are those of all record rows by id.
func digests(t *testing.T, c Config) map[ledger.ID]ledger.Hash {
	t.Helper()
	all := map[ledger.ID]ledger.Hash{}
	rows(t, c, func(r ledger.Row) {
		if r.Record != nil {
			all[r.Record.ID] = r.Record.Digest()
		}
	})
	return all
}

func statements(t *testing.T, c Config, part string) (n int) {
	t.Helper()
	rows(t, c, func(r ledger.Row) {
		if r.Statement != nil && strings.Contains(r.Statement.Text, part) {
			n++
		}
	})
	return n
}

func rows(t *testing.T, c Config, do func(ledger.Row)) {
	t.Helper()
	r, err := sqlite.Open(t.Context(), c.recordsFile())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for row, err := range r.Rows(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		do(row)
	}
}

// TestMoveToKMS: from a key file to KMS and back, with the deployment key alone wrapped anew.
func TestMoveToKMS(t *testing.T) {
	c := lab(t)
	h, stop := run(t, c, all.List()...)
	clinic, err := admin.NewClient(h.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	prescribe(t, h, clinic, 1)
	kms, moved := withKMS(t, c)
	desk, err := OpenKeyDesk(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	if n, wrapper, err := desk.Move(t.Context(), moved.Keys); err != nil || n != 2 || wrapper != moved.Keys.KMS { // the index key and generation 1
		t.Fatalf("move: %d to %s, %v", n, wrapper, err)
	}
	prescribe(t, h, clinic, 2) // the hub that runs does not notice
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	old, err := New(t.Context(), c.WithDefaults(), Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Run(t.Context()); fault.KindOf(err) != fault.Tampered || !strings.Contains(err.Error(), "it was wrapped by "+moved.Keys.KMS) {
		t.Errorf("a start with the old file: %v, want who wrapped it", err)
	}
	h, stop = run(t, moved, all.List()...)
	prescribe(t, h, clinic, 1)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	back := Keys{File: filepath.Join(c.Data, "other", "kek")}
	kdesk, err := OpenKeyDesk(t.Context(), moved)
	if err != nil {
		t.Fatal(err)
	}
	defer kdesk.Close()
	kms.Trouble(kmstest.Trouble{Code: "AccessDeniedException"})
	if _, _, err := kdesk.Move(t.Context(), back); fault.KindOf(err) != fault.Denied {
		t.Errorf("move while KMS refuses: %v", err)
	}
	kms.Trouble(kmstest.Trouble{})
	if n, _, err := kdesk.Move(t.Context(), back); err != nil || n != 2 {
		t.Errorf("move back: %d, %v", n, err)
	}
	c.Keys = back
	h, stop = run(t, c, all.List()...)
	prescribe(t, h, clinic, 3)
	if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}
