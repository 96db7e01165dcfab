package ledgertest

import (
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

func testOrigin(t *testing.T, s Backend) {
	ctx := t.Context()
	same(t, "empty head", head(t, s), ledger.Head{Epoch: 1})
	for _, o := range []string{"other.test/1", origin} { // nothing hangs on it yet
		if err := s.SetOrigin(ctx, o); err != nil {
			t.Fatalf("SetOrigin: %v", err)
		}
		same(t, "leaf", head(t, s).Leaf, ledger.Origin(o))
	}
	want := begin(t, s)
	if err := s.SetOrigin(ctx, origin); err != nil {
		t.Errorf("SetOrigin again, same origin: %v", err)
	}
	if err := s.SetOrigin(ctx, "other.test/1"); !errors.Is(err, ledger.ErrOrigin) {
		t.Errorf("SetOrigin of a begun chain: %v, want ErrOrigin", err)
	}
	same(t, "head", head(t, s), want)
}

func testGenesis(t *testing.T, s Backend) {
	begin(t, s)
	all := rows(t, s, 0)
	if len(all) != 1 || all[0].Statement == nil {
		t.Fatalf("got %d rows, want the genesis statement", len(all))
	}
	if got := all[0].Entry; got.Kind != ledger.KindGenesis || got.Prev != ledger.Origin(origin) {
		t.Errorf("genesis entry: %+v", got)
	}
	same(t, "statement", all[0].Statement.Text, "genesis of "+origin)
}

func testCommitMovesHead(t *testing.T, s Backend) {
	h := begin(t, s)
	b := newBatch(h)
	b.record(100)
	b.record(0)
	b.To.Seq += 7
	b.To.Epoch++
	want := commit(t, s, b)
	same(t, "head", head(t, s), want)

	empty := newBatch(want) // a message that was only a repeat: the cursor moves alone
	empty.Replays = []ledger.Replay{{Epoch: want.Epoch, Seq: empty.To.Seq, Key: key(newID())}}
	want = commit(t, s, empty)
	same(t, "head", head(t, s), want)
}

// testStaleHead changes one field of From at a time: all of them are the fence.
func testStaleHead(t *testing.T, s Backend) {
	h := begin(t, s)
	many := newBatch(h)
	many.From.Seq++
	full(many, 200, 50)
	if err := s.Commit(t.Context(), &many.Batch); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("many rows: %v, want ErrHeadMoved", err)
	}
	nothingOf(t, s, many, h)
	for name, edit := range map[string]func(*ledger.Head){
		"epoch":      func(h *ledger.Head) { h.Epoch++ },
		"seq":        func(h *ledger.Head) { h.Seq++ },
		"size":       func(h *ledger.Head) { h.Size++ },
		"leaf":       func(h *ledger.Head) { h.Leaf[31] ^= 1 },
		"time":       func(h *ledger.Head) { h.Time-- },
		"deliveries": func(h *ledger.Head) { h.Deliveries++ },
		"term":       func(h *ledger.Head) { h.Term++ },
	} {
		from := h
		edit(&from)
		b := newBatch(from)
		b.record(10)
		if err := s.Commit(t.Context(), &b.Batch); !errors.Is(err, ledger.ErrHeadMoved) {
			t.Errorf("%s: %v, want ErrHeadMoved", name, err)
		}
		nothingOf(t, s, b, h)
	}
}

func testTermInCommit(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	b.record(10)
	b.To.Term++
	refused(t, s, b)
}

func testConcurrentCommits(t *testing.T, s Backend) {
	h := begin(t, s)
	const rounds, writers = 5, 8
	for range rounds {
		var (
			wg   sync.WaitGroup
			errs [writers]error
			tos  [writers]ledger.Head
		)
		for i := range writers {
			b := newBatch(h)
			for range i + 1 {
				b.record(200)
			}
			tos[i] = b.To
			wg.Go(func() { errs[i] = s.Commit(t.Context(), &b.Batch) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("writers %d and %d both won", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, ledger.ErrHeadMoved):
				t.Errorf("loser: %v, want ErrHeadMoved", err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		h = tos[winner]
		same(t, "head", head(t, s), h)
	}
	walk(t, s)
}

// testForgedChain offers batches that a buggy or hostile recorder could make: the database itself
// must refuse them.
func testForgedChain(t *testing.T, s Backend) {
	if err := s.SetOrigin(t.Context(), origin); err != nil {
		t.Fatalf("SetOrigin: %v", err)
	}
	b := newBatch(head(t, s))
	b.statement(ledger.KindGenesis, "genesis of another")
	b.Entries[0].Prev[0] ^= 1
	b.To.Leaf = b.Entries[0].Leaf()
	t.Log("genesis of another origin")
	refused(t, s, b)

	b = newBatch(begin(t, s))
	b.record(50)
	h := commit(t, s, b)

	// Each takes a batch of one record whose entry it spoils; the record's digest still fits.
	for name, spoil := range map[string]func(*batch){
		"wrong prev":          func(b *batch) { b.Entries[0].Prev[0] ^= 1 },
		"prev of grandparent": func(b *batch) { b.Entries[0].Prev = rows(t, s, 0)[0].Entry.Leaf() },
		"gap":                 func(b *batch) { b.Entries[0].Index++; b.Records[0].Index++; b.To.Size++ },
		"index taken":         func(b *batch) { b.Entries[0].Index--; b.Records[0].Index-- },
		"second genesis":      func(b *batch) { b.Entries[0].Kind = ledger.KindGenesis },
		"record of no entry":  func(b *batch) { b.Records[0].Index = h.Size + 1 },
	} {
		b := newBatch(h)
		b.record(50)
		spoil(b)
		b.To.Leaf = b.Entries[0].Leaf()
		t.Log(name)
		refused(t, s, b)
	}

	for _, spoilt := range []int{0, 1} { // of two that are written together
		b := newBatch(h)
		b.record(50)
		b.record(50)
		b.Entries[spoilt].Time = h.Time - 1
		b.Entries[1].Prev = b.Entries[0].Leaf()
		b.To.Leaf, b.To.Time = b.Entries[1].Leaf(), b.Entries[1].Time
		t.Log("time goes back at", spoilt)
		refused(t, s, b)
	}

	b = newBatch(h) // the head must be the chain's end
	b.record(50)
	b.To.Leaf[0] ^= 1
	t.Log("head is not the last leaf")
	refused(t, s, b)

	b = newBatch(h)
	b.record(50)
	b.To.Size, b.To.Leaf = h.Size, h.Leaf
	t.Log("entry beyond the head")
	refused(t, s, b)
	walk(t, s)
}

func testInsertOnly(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	commit(t, s, b)
	for _, sql := range []string{
		`UPDATE ledger SET entry = entry`,
		`UPDATE ledger SET idx = idx + 10`,
		`DELETE FROM ledger`,
		`DELETE FROM ledger WHERE idx = 1`,
		`DELETE FROM record`,
	} {
		if err := s.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: accepted", sql)
		}
	}
	if got := walk(t, s); got != 2 {
		t.Errorf("%d entries left, want 2", got)
	}
	if _, err := s.Record(t.Context(), r.ID); err != nil {
		t.Errorf("Record: %v", err)
	}
}

// testUniqueKeys commits one of everything; each later batch repeats one key beside a good record.
func testUniqueKeys(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	p := b.prescription(r)
	m := ledger.Message{Key: key(r.Org), Body: randomHash(), Record: r.ID, Answer: []byte(`{"status":201}`), Seq: b.To.Seq}
	b.Messages = append(b.Messages, m)
	fill := ledger.Fill{Prescription: p.ID, Number: 1, Pharmacy: newID(), Claim: 1, Record: r.ID}
	b.Fills = append(b.Fills, fill)
	org := ledger.Organization{ID: newID(), Kind: "clinic", Name: "A", Identifiers: []ledger.Identifier{{System: "urn:s", Value: "1"}}}
	b.Organizations = append(b.Organizations, org)
	q := ledger.Quarantined{Epoch: 1, Seq: 1, Org: r.Org, KeyID: newID(), Sealed: []byte("x"), Code: string(fault.CodeSyntax), Time: 1}
	b.Quarantined = append(b.Quarantined, q)
	rep := ledger.Replay{Epoch: 1, Seq: 2, Key: m.Key}
	b.Replays = append(b.Replays, rep)
	e := b.effect(ledger.Effect{Kind: ledger.EffectWake, Patient: p.Patient, Type: "issued", Index: ledger.NoIndex})
	h := commit(t, s, b)
	b = newBatch(h) // part of a parcel that is read again
	b.Quarantined, b.Replays = append(b.Quarantined, q), append(b.Replays, rep)
	h = commit(t, s, b)

	for name, add := range map[string]func(*batch){
		"record id":             func(b *batch) { b.record(50, func(x *ledger.Record) { x.ID = r.ID }) },
		"message key":           func(b *batch) { b.Messages = append(b.Messages, m) },
		"prescription":          func(b *batch) { b.Begun = append(b.Begun, p) },
		"prescription identity": func(b *batch) { b.prescription(r, func(x *ledger.Prescription) { x.Identity = p.Identity }) },
		"fill number": func(b *batch) {
			other := fill
			other.Pharmacy, other.Claim = newID(), 2
			b.Fills = append(b.Fills, other)
		},
		"organisation's identifier": func(b *batch) {
			other := org
			other.ID = newID()
			b.Organizations = append(b.Organizations, other)
		},
		"effect number": func(b *batch) { b.Effects = append(b.Effects, e) },
	} {
		for _, others := range []int{0, 100} { // alone, and among so many that a store may write them otherwise
			b := newBatch(h)
			full(b, others, 50)
			good := b.record(50, func(r *ledger.Record) { r.Sub = 1 })
			add(b)
			t.Log(name, others)
			err := s.Commit(t.Context(), &b.Batch)
			if fault.KindOf(err) != fault.Invalid || err == nil {
				t.Errorf("%s twice: %v, want an invalid kind", name, err)
			}
			if _, err := s.Record(t.Context(), good.ID); !isNotFound(err) {
				t.Errorf("%s twice: the rest of the batch was written", name)
			}
		}
	}
	same(t, "head", head(t, s), h)

	twice := newBatch(h) // twice in one commit
	twice.Messages = append(twice.Messages, ledger.Message{Key: key(r.Org), Answer: []byte("{}")})
	twice.Messages = append(twice.Messages, twice.Messages[0])
	refused(t, s, twice)

	other := newBatch(h) // the same hashes under another organisation are other keys
	r2 := other.record(50)
	m2 := m
	m2.Org, m2.Record = r2.Org, r2.ID
	other.Messages = append(other.Messages, m2)
	other.prescription(r2, func(x *ledger.Prescription) { x.Identity = p.Identity })
	commit(t, s, other)
}

func testBigBatch(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	full(b, 1000, 2048)
	want := commit(t, s, b)
	same(t, "head", head(t, s), want)
	if got := walk(t, s); got != 1001 {
		t.Errorf("walked %d entries, want 1001", got)
	}
	have := load(t, s, ledger.Want{Messages: messageKeys(b)})
	if len(have.Messages) != 1000 {
		t.Errorf("found %d messages, want 1000", len(have.Messages))
	}
	began, delivered := map[ledger.ID]ledger.Prescription{}, map[[2]ledger.ID]bool{}
	var ids []ledger.ID
	for _, p := range b.Begun {
		began[p.ID], ids = p, append(ids, p.ID)
		delivered[[2]ledger.ID{p.Pharmacy, p.ID}] = true
	}
	have = load(t, s, ledger.Want{Prescriptions: ids})
	same(t, "prescriptions", have.Prescriptions, began)
	same(t, "delivered", have.Delivered, delivered)
	effects, err := s.Effects(t.Context(), ledger.ID{}, 0, 3000)
	if err != nil {
		t.Errorf("Effects: %v", err)
	}
	same(t, "effects", effects, b.Effects)
}

func testBigRecord(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	want := b.record(1<<20 + ledger.SealedOverhead)
	commit(t, s, b)
	got, err := s.Record(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	same(t, "digest", got.Digest(), want.Digest())
	walk(t, s)
}

// Fill begins a chain and commits n full messages, then a chained access and a statement: entries 0
// to n+2. It returns the head.
func Fill(t testing.TB, s Store, n int) ledger.Head {
	t.Helper()
	b := newBatch(begin(t, s))
	full(b, n, 500)
	h := commit(t, s, b)

	a := access(newID())
	if err := s.InsertAccess(t.Context(), a); err != nil {
		t.Fatalf("InsertAccess: %v", err)
	}
	b = newBatch(h)
	b.To.Seq = h.Seq // no message brings it
	i := b.entry(ledger.KindAccess, sha256.Sum256(a.Bytes()), ledger.Hash{})
	b.Accesses = append(b.Accesses, ledger.AccessIndex{ID: a.ID, Index: i})
	b.statement(ledger.KindStatement, "a change of policy")
	return commit(t, s, b)
}

// Extend commits n more full messages after head and returns the new head.
func Extend(t testing.TB, s Store, head ledger.Head, n int) ledger.Head {
	t.Helper()
	b := newBatch(head)
	full(b, n, 500)
	return commit(t, s, b)
}

// Origin is the origin under which Fill begins its chain.
const Origin = origin

// full adds n messages of one sequence as the recorder writes them: record, entry, message, prescription,
// two effects.
func full(b *batch, n, size int) {
	for i := range n {
		r := b.record(size, func(r *ledger.Record) { r.Sub = i << 20 })
		p := b.prescription(r, func(p *ledger.Prescription) {
			if i%3 == 0 {
				p.Pharmacy, p.Group, p.Therapy, p.DueAt = newID(), randomHash(), token(), int64(i)+1
			}
		})
		b.Delivered = append(b.Delivered, ledger.Delivered{Pharmacy: p.Pharmacy, Prescription: p.ID, Identifier: randomHash()})
		b.Messages = append(b.Messages, ledger.Message{Key: key(r.Org), Body: randomHash(), Record: r.ID,
			Answer: []byte(`{"status":201,"resources":[{"type":"MedicationRequest","status":201}]}`), Seq: b.To.Seq})
		b.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: p.Pharmacy, Type: "MedicationRequest", Record: r.ID,
			Prescription: p.ID, State: p.Status, Seq: b.To.Seq, Index: r.Index, Time: b.To.Time})
		b.effect(ledger.Effect{Kind: ledger.EffectWake, Patient: p.Patient, Type: "issued", Prescription: p.ID,
			State: p.Status, Seq: b.To.Seq, Index: r.Index, Time: b.To.Time})
	}
}

func messageKeys(b *batch) (keys []ledger.Key) {
	for _, m := range b.Messages {
		keys = append(keys, m.Key)
	}
	return keys
}

// walk checks the whole chain and every row, and returns the number of entries.
func walk(t testing.TB, s Store) int {
	t.Helper()
	at := ledger.Head{Leaf: ledger.Origin(origin)}
	n := 0
	for row, err := range s.Rows(t.Context(), 0) {
		if err != nil {
			t.Fatalf("Rows: %v", err)
		}
		if at, err = ledger.Check(at, row.Entry); err != nil {
			t.Fatalf("entry %d: %v", row.Entry.Index, err)
		}
		if row.Record == nil && row.Access == nil && row.Statement == nil {
			t.Fatalf("entry %d covers nothing", row.Entry.Index)
		}
		if row.Record != nil && row.Record.Digest() != row.Entry.Digest {
			t.Fatalf("entry %d does not cover its record", row.Entry.Index)
		}
		n++
	}
	if h := head(t, s); at.Size != h.Size || at.Leaf != h.Leaf {
		t.Fatalf("the chain ends at %d, the head is %d", at.Size, h.Size)
	}
	return n
}
