package ledgertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// linking is a commit that writes links beside the record that began the person.
func linking(h ledger.Head, patients ...ledger.ID) (*batch, ledger.ID) {
	b := newBatch(h)
	r := b.record(80)
	for _, p := range patients {
		b.Links = append(b.Links, ledger.PatientLink{Patient: p, Person: r.ID})
	}
	return b, r.ID
}

func wantLinked(t *testing.T, s Backend, want map[ledger.ID][]ledger.ID) {
	t.Helper()
	asked := []ledger.ID{newID()}
	n := 0
	for p := range want {
		asked = append(asked, p)
		n++
	}
	got, err := s.Linked(t.Context(), asked)
	if err != nil {
		t.Fatalf("Linked: %v", err)
	}
	same(t, "linked", got, want)
	same(t, "linked, loaded", load(t, s, ledger.Want{Linked: asked}).Linked, want)
	all, err := s.Links(t.Context(), nil)
	if err != nil || len(all) != n {
		t.Errorf("Links: %d, %v, want %d", len(all), err, n)
	}
	for p, all := range want {
		rows, err := s.Links(t.Context(), []ledger.ID{p})
		var members []ledger.ID
		for _, l := range rows {
			members = append(members, l.Patient)
		}
		if err != nil || !slices.Equal(members, all) {
			t.Errorf("Links of one: %v, %v, want %v", members, err, all)
		}
	}
}

func testLinks(t *testing.T, s Backend) {
	h := begin(t, s)
	p, q, r, lone := newID(), newID(), newID(), newID()
	wantLinked(t, s, map[ledger.ID][]ledger.ID{})
	b, person := linking(h, p, q)
	h = commit(t, s, b)
	pair := sorted(p, q)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{p: pair, q: pair})

	b = newBatch(h) // a third
	b.record(10)
	b.Links = []ledger.PatientLink{{Patient: r, Person: person}}
	h = commit(t, s, b)
	three := sorted(p, q, r)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{p: three, q: three, r: three})

	// what must not be is refused, whole
	nobody, _ := linking(h, lone) // with nobody else
	refused(t, s, nobody)
	left := newBatch(h) // the last but one leaves
	left.record(10)
	left.Links = []ledger.PatientLink{{Patient: p}, {Patient: q}}
	refused(t, s, left)
	unrecorded := newBatch(h) // without the record of a fact
	unrecorded.record(10)
	no := newID()
	unrecorded.Links = []ledger.PatientLink{{Patient: lone, Person: no}, {Patient: newID(), Person: no}}
	refused(t, s, unrecorded)
	self := newBatch(h) // a person named by a patient
	own := self.record(10)
	self.Links = []ledger.PatientLink{{Patient: own.ID, Person: own.ID}, {Patient: lone, Person: own.ID}}
	refused(t, s, self)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{p: three, q: three, r: three})

	b, second := linking(h, lone, q) // q passes to another person
	h = commit(t, s, b)
	was, now := sorted(p, r), sorted(lone, q)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{p: was, r: was, q: now, lone: now})
	all, err := s.Links(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		want := person
		if l.Patient == q || l.Patient == lone {
			want = second
		}
		if l.Person != want {
			t.Errorf("link %v, want person %v", l, want)
		}
	}

	b = newBatch(h) // both ends
	b.record(10)
	b.Links = []ledger.PatientLink{{Patient: q}, {Patient: lone}, {Patient: newID()}}
	commit(t, s, b)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{p: was, r: was})
}

// testErasedLinks: an erasure ends the patient's links, what told of them, and the invitations used by the
// patient; of two who were linked none is left.
func testErasedLinks(t *testing.T, s Backend) {
	ctx, org := t.Context(), newID()
	p, h := lives(t, s, begin(t, s), org)
	q, h := lives(t, s, h, org)
	r, h := lives(t, s, h, org)
	b, _ := linking(h, p.id, q.id, r.id)
	var told []uint64
	for _, who := range []ledger.ID{p.id, q.id} {
		told = append(told, b.effect(ledger.Effect{Kind: ledger.EffectWake, Patient: who, Type: "linked", Index: b.Entries[0].Index, Time: b.To.Time}).Number)
	}
	h = commit(t, s, b)
	token := randomHash()
	if err := s.AddInvitation(ctx, token, q.id, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Join(ctx, token, p.id, noon); err != nil || got != q.id {
		t.Fatalf("Join: %v, %v", got, err)
	}

	e, _ := erasing(t, s, h, p, 2)
	h = commit(t, s, e)
	rest := sorted(q.id, r.id)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{q.id: rest, r.id: rest})
	for i, n := range told {
		all, err := s.Effects(ctx, ledger.ID{}, n-1, 1)
		if err != nil || len(all) != 1 || (all[0].Kind == ledger.EffectErased) != (i == 0) {
			t.Errorf("effect that told patient %d: %+v, %v", i, all, err)
		}
	}
	if _, err := s.Invited(ctx, token, p.id, noon); !isNotFound(err) {
		t.Errorf("invitation used by the erased patient: %v, want ErrNotFound", err)
	}

	e, _ = erasing(t, s, h, q, 2)
	e.Erasure.Quarantined = []ledger.Place{{Epoch: q.record.Epoch, Seq: q.record.Seq}}
	commit(t, s, e)
	wantLinked(t, s, map[ledger.ID][]ledger.ID{})
}

func testJoin(t *testing.T, s Backend) {
	ctx := t.Context()
	invite := func(patient ledger.ID) ledger.Hash {
		token := randomHash()
		if err := s.AddInvitation(ctx, token, patient, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return token
	}
	redeem := func(token ledger.Hash) error {
		_, err := s.Redeem(ctx, token, randomHash(), noon, noon.Add(time.Hour))
		return err
	}
	me, other, stranger := newID(), newID(), newID()

	// a look uses nothing
	token := invite(other)
	for range 2 {
		if got, err := s.Invited(ctx, token, me, noon); err != nil || got != other {
			t.Fatalf("Invited: %v, %v", got, err)
		}
	}
	if err := redeem(token); err != nil {
		t.Errorf("Redeem after a look: %v", err)
	}
	for _, by := range []ledger.ID{me, other} {
		if _, err := s.Invited(ctx, token, by, noon); !isNotFound(err) {
			t.Errorf("Invited after Redeem: %v, want ErrNotFound", err)
		}
		if _, err := s.Join(ctx, token, by, noon); !isNotFound(err) {
			t.Errorf("Join after Redeem: %v, want ErrNotFound", err)
		}
	}

	// once, for one; by the same again
	token = invite(other)
	for range 2 {
		if got, err := s.Join(ctx, token, me, noon); err != nil || got != other {
			t.Errorf("Join: %v, %v", got, err)
		}
		if got, err := s.Invited(ctx, token, me, noon); err != nil || got != other {
			t.Errorf("Invited, joined: %v, %v", got, err)
		}
	}
	if _, err := s.Join(ctx, token, stranger, noon); !isNotFound(err) {
		t.Errorf("Join by another: %v, want ErrNotFound", err)
	}
	if _, err := s.Invited(ctx, token, stranger, noon); !isNotFound(err) {
		t.Errorf("Invited for another: %v, want ErrNotFound", err)
	}
	if err := redeem(token); !isNotFound(err) {
		t.Errorf("Redeem after Join: %v, want ErrNotFound", err)
	}
	if _, err := s.Join(ctx, token, me, noon.Add(time.Hour)); !isNotFound(err) {
		t.Errorf("Join at the end of its time: %v, want ErrNotFound", err)
	}

	// one's own is not used up
	token = invite(me)
	if _, err := s.Join(ctx, token, me, noon); !isNotFound(err) {
		t.Errorf("Join of one's own: %v, want ErrNotFound", err)
	}
	if err := redeem(token); err != nil {
		t.Errorf("Redeem after it: %v", err)
	}
	if _, err := s.Join(ctx, randomHash(), me, noon); !isNotFound(err) {
		t.Errorf("Join of nothing: %v, want ErrNotFound", err)
	}
	joinRace(t, s, invite(other))
}

// joinRace: of many who join by one invitation, or sign in with it, one does.
func joinRace(t *testing.T, s Backend, token ledger.Hash) {
	const callers = 16
	var wg sync.WaitGroup
	var errs [callers]error
	for i := range callers {
		wg.Go(func() {
			if i%4 == 0 {
				_, errs[i] = s.Redeem(t.Context(), token, randomHash(), noon, noon.Add(time.Hour))
			} else {
				_, errs[i] = s.Join(t.Context(), token, newID(), noon)
			}
		})
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !isNotFound(err):
			t.Error(fmt.Errorf("caller %d: %w", i, err))
		}
	}
	if won != 1 {
		t.Errorf("%d used one invitation", won)
	}
}
