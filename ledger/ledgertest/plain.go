package ledgertest

import (
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

var noon = time.UnixMilli(1_790_000_000_000)

func testInvitations(t *testing.T, s Backend) {
	ctx := t.Context()
	patient, token := newID(), randomHash()
	if err := s.AddInvitation(ctx, token, patient, noon.Add(time.Hour)); err != nil {
		t.Fatalf("AddInvitation: %v", err)
	}
	const callers = 20
	var (
		wg       sync.WaitGroup
		sessions [callers]ledger.Hash
		errs     [callers]error
	)
	for i := range callers {
		sessions[i] = randomHash()
		wg.Go(func() {
			var got ledger.ID
			got, errs[i] = s.Redeem(ctx, token, sessions[i], noon, noon.Add(24*time.Hour))
			if errs[i] == nil && got != patient {
				t.Errorf("Redeem: another patient")
			}
		})
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		_, live := s.Session(ctx, sessions[i], noon)
		switch {
		case err == nil && live == nil:
			won++
		case !isNotFound(err) || !isNotFound(live):
			t.Errorf("Redeem: %v, session: %v, want ErrNotFound for both", err, live)
		}
	}
	if won != 1 {
		t.Errorf("redeemed %d times, want once", won)
	}
}

func testSessions(t *testing.T, s Backend) {
	ctx := t.Context()
	patient := newID()
	redeem := func(until, now time.Time) (ledger.Hash, error) {
		token, session := randomHash(), randomHash()
		if err := s.AddInvitation(ctx, token, patient, until); err != nil {
			t.Fatalf("AddInvitation: %v", err)
		}
		_, err := s.Redeem(ctx, token, session, now, now.Add(time.Hour))
		return session, err
	}
	if _, err := redeem(noon, noon); !isNotFound(err) {
		t.Errorf("Redeem at the end of its time: %v, want ErrNotFound", err)
	}
	if _, err := s.Redeem(ctx, randomHash(), randomHash(), noon, noon.Add(time.Hour)); !isNotFound(err) {
		t.Errorf("Redeem of an unknown invitation: %v, want ErrNotFound", err)
	}
	first, err := redeem(noon.Add(time.Minute), noon)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	second, err := redeem(noon.Add(time.Minute), noon)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	if got, err := s.Session(ctx, first, noon.Add(time.Hour-time.Millisecond)); err != nil || got != patient {
		t.Errorf("Session: %v, %v", got, err)
	}
	if _, err := s.Session(ctx, first, noon.Add(time.Hour)); !isNotFound(err) {
		t.Errorf("Session after its end: %v, want ErrNotFound", err)
	}
	for range 2 { // ending twice is no error
		if err := s.EndSession(ctx, first); err != nil {
			t.Errorf("EndSession: %v", err)
		}
	}
	if _, err := s.Session(ctx, first, noon); !isNotFound(err) {
		t.Errorf("Session ended: %v, want ErrNotFound", err)
	}
	if _, err := s.Session(ctx, second, noon); err != nil {
		t.Errorf("the other session: %v", err)
	}
}

func testDevices(t *testing.T, s Backend) {
	ctx := t.Context()
	patient := newID()
	device := func() directory.Device {
		return directory.Device{ID: newID(), Patient: patient, Transport: "webpush", KeyID: newID(),
			Endpoint: randomBytes(300), CreatedAt: noon}
	}
	a, b := device(), device()
	for _, d := range []directory.Device{a, b} {
		if err := s.PutDevice(ctx, d); err != nil {
			t.Fatalf("PutDevice: %v", err)
		}
	}
	a.Endpoint, a.KeyID = randomBytes(200), newID()
	if err := s.PutDevice(ctx, a); err != nil {
		t.Fatalf("PutDevice again: %v", err)
	}
	devices := func(want ...directory.Device) {
		t.Helper()
		got, err := s.Devices(ctx, patient)
		if err != nil {
			t.Fatalf("Devices: %v", err)
		}
		byID := map[ledger.ID]directory.Device{}
		for _, d := range got {
			byID[d.ID] = d
		}
		if len(got) != len(want) {
			t.Errorf("%d devices, want %d", len(got), len(want))
		}
		for _, d := range want {
			same(t, "device", byID[d.ID], d)
		}
	}
	devices(a, b)
	if err := s.DropDevice(ctx, b.ID, "gone", noon); err != nil {
		t.Fatalf("DropDevice: %v", err)
	}
	devices(a)
	b.Dead = "gone"
	got, err := s.Device(ctx, b.ID)
	if err != nil {
		t.Errorf("Device: %v", err)
	}
	same(t, "dead device", got, b)
	if _, err := s.Device(ctx, newID()); !isNotFound(err) {
		t.Errorf("Device of a stranger: %v, want ErrNotFound", err)
	}
	b.Dead = ""
	if err := s.PutDevice(ctx, b); err != nil { // subscribed anew
		t.Errorf("PutDevice: %v", err)
	}
	devices(a, b)

	for _, id := range []ledger.ID{a.ID, a.ID, newID()} { // twice and unknown are no errors
		if err := s.Receipt(ctx, id, "w1", noon); err != nil {
			t.Errorf("Receipt: %v", err)
		}
	}
}
