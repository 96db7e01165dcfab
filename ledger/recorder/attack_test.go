package recorder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/notary/witness"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/ledger/trust"
	"github.com/dosewire/dosewire/streams"
)

// attacked is a hub on PostgreSQL under everything that watches it, and the attacker: a superuser with
// triggers, foreign keys and the checks on entries off.
type attacked struct {
	*hub
	root *pgx.Conn // the records database
	keep *pgx.Conn // the key database

	known   ledger.Head // what somebody remembers from before the attack
	records []ledger.Record
	rx      []ledger.ID
	answers []streams.Answer

	scrub  *scrub.Scrubber
	notary *notary.Notary
	key    *notary.Key
	omit   atomic.Bool // the hub drops what it refuses
}

// messages in the ledger when the attack begins; the last unsigned of them are not signed yet.
const (
	messages = 16
	unsigned = 4
)

func besiege(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{}
	a.hub = open(t, (*hub).onPostgres, func(h *hub) {
		h.wrap = func(s recorder.Store) recorder.Store { return &omitting{s, &a.omit} }
		h.harmed = true
	})
	a.root, a.keep = connect(t, a.dsn[0]), connect(t, a.dsn[1])
	a.sql(`SET session_replication_role = replica`)
	a.sql(`ALTER TABLE ledger DROP CONSTRAINT ledger_check, DROP CONSTRAINT ledger_check1, DROP CONSTRAINT ledger_entry_check1`)
	a.openNotary(nil)
	a.openScrub(filepath.Join(a.dir, "scrub.json"))
	for i := range messages {
		if i == messages-unsigned {
			a.read(a.records[0].ID)
			a.must(a.notary.Tick(t.Context()))
		}
		an := a.send(a.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
		rec, err := a.store.Record(t.Context(), mustID(t, an.Record))
		a.must(err)
		a.records, a.answers, a.rx = append(a.records, rec), append(a.answers, an), append(a.rx, mustID(t, an.Resources[0].Rx))
	}
	a.known = a.verify()
	if found := a.scrubbed(); len(found) != 0 {
		t.Fatalf("before the attack: %v", found)
	}
	return a
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// omitting is a hub that loses what it refuses.
type omitting struct {
	recorder.Store
	omit *atomic.Bool
}

func (s *omitting) Commit(ctx context.Context, b *ledger.Batch) error {
	if s.omit.Load() {
		b.Quarantined = nil
	}
	return s.Store.Commit(ctx, b)
}

func (a *attacked) sql(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.root.Exec(context.Background(), sql, args...); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
}

// touch demands that exactly n rows are changed.
func (a *attacked) touch(n int64, sql string, args ...any) {
	a.t.Helper()
	tag, err := a.root.Exec(context.Background(), sql, args...)
	if err != nil || tag.RowsAffected() != n {
		a.t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
	}
}

// read leaves one disclosure and waits until it is chained.
func (a *attacked) read(record ledger.ID) {
	a.t.Helper()
	ctx := context.Background()
	a.must(a.store.InsertAccess(ctx, ledger.Access{ID: ledger.ID{15: 1}, Org: a.clinic.ID, Action: "read", Records: []ledger.ID{record}, Time: time.Now().UnixMilli()}))
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) { // another goroutine works
		pending, err := a.store.PendingAccess(ctx, 1)
		a.must(err)
		if len(pending) == 0 {
			return
		}
	}
	a.t.Fatal("the disclosure was not chained in 10 s")
}

func (a *attacked) entries() (all []ledger.Entry) {
	a.t.Helper()
	rows, err := a.root.Query(context.Background(), `SELECT entry FROM ledger ORDER BY idx`)
	a.must(err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	a.must(err)
	for _, b := range raw {
		e, err := ledger.Parse(b)
		a.must(err)
		all = append(all, e)
	}
	return all
}

func (a *attacked) put(e ledger.Entry) {
	a.t.Helper()
	raw := e.Bytes()
	a.touch(1, `UPDATE ledger SET entry = $2 WHERE idx = $1`, int64(e.Index), raw[:])
}

// alter changes one entry in its place.
func (a *attacked) alter(index uint64, change func(*ledger.Entry)) {
	a.t.Helper()
	e := a.entries()[index]
	change(&e)
	a.put(e)
}

// relink recomputes the chain from an entry on, head included.
func (a *attacked) relink(from uint64, change func(*ledger.Entry)) {
	a.t.Helper()
	all := forge(a.entries(), from, change)
	for _, e := range all[from:] {
		a.put(e)
	}
	leaf := all[len(all)-1].Leaf()
	a.touch(1, `UPDATE head SET leaf = $1`, leaf[:])
}

// forge is a chain that is consistent in itself, with another entry in it.
func forge(chain []ledger.Entry, at uint64, change func(*ledger.Entry)) []ledger.Entry {
	all := append([]ledger.Entry(nil), chain...)
	change(&all[at])
	for i := at + 1; i < uint64(len(all)); i++ {
		all[i].Prev = all[i-1].Leaf()
	}
	return all
}

// cut removes the tail from an entry on, with all that came with it; seq is what the head then says.
func (a *attacked) cut(from, seq uint64) {
	a.t.Helper()
	last := a.entries()[from-1]
	leaf := last.Leaf()
	a.sql(`DELETE FROM message WHERE record IN (SELECT id FROM record WHERE idx >= $1)`, int64(from))
	for _, table := range []string{"ledger", "record", "statement"} {
		a.sql(`DELETE FROM `+table+` WHERE idx >= $1`, int64(from))
	}
	a.touch(1, `UPDATE head SET size = $1, leaf = $2, time = $3, seq = $4`, int64(from), leaf[:], last.Time, int64(seq))
}

func (a *attacked) openNotary(policy *trust.Policy) {
	a.t.Helper()
	var err error
	a.key, err = notary.LogKey(filepath.Join(a.dir, "notary", "key"), "dosewire.example/log")
	a.must(err)
	a.notary = a.newNotary(a.store.(notary.Source), policy, filepath.Join(a.dir, "notary"))
}

func (a *attacked) newNotary(source notary.Source, policy *trust.Policy, dir string) *notary.Notary {
	a.t.Helper()
	state, err := notary.OpenDir(filepath.Join(dir, "state"), 0o700)
	a.must(err)
	tiles, err := notary.OpenDir(filepath.Join(dir, "tiles"), 0o755)
	a.must(err)
	n, err := notary.Open(notary.Config{Origin: "dosewire.example/log", Source: source, State: state, Tiles: tiles,
		Signer: a.key, Verifier: a.key.Verifier, Policy: policy})
	a.must(err)
	return n
}

// witnessed is a policy with one witness that has cosigned the ledger as it is.
func (a *attacked) witnessed() *trust.Policy {
	a.t.Helper()
	dir := filepath.Join(a.dir, "witness")
	key, err := notary.WitnessKey(filepath.Join(dir, "key"), "w.test/witness")
	a.must(err)
	store, err := notary.OpenDir(filepath.Join(dir, "store"), 0o700)
	a.must(err)
	logs, err := trust.ParsePolicy([]byte("log " + a.key.VKey + "\nquorum none\n"))
	a.must(err)
	w, err := witness.New(witness.Config{Signer: key, Policy: logs, Store: store})
	a.must(err)
	server := httptest.NewServer(w.Handler())
	a.t.Cleanup(server.Close)
	policy, err := trust.ParsePolicy([]byte("log " + a.key.VKey + "\nwitness w " + key.VKey + " " + server.URL + "\nquorum w\n"))
	a.must(err)
	a.openNotary(policy)
	a.must(a.notary.Tick(context.Background()))
	return policy
}

// elsewhere is a ledger that its owner shows to others.
type elsewhere []ledger.Entry

func (e elsewhere) Head(context.Context) (ledger.Head, error) {
	last := e[len(e)-1]
	return ledger.Head{Size: uint64(len(e)), Leaf: last.Leaf(), Time: last.Time}, nil
}

func (e elsewhere) Entries(_ context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	if from >= uint64(len(e)) {
		return nil, nil
	}
	return e[from:min(from+uint64(limit), uint64(len(e)))], nil
}

func (a *attacked) openScrub(file string) {
	a.t.Helper()
	var err error
	a.scrub, err = scrub.Open(context.Background(), a.scrubConfig(file))
	a.must(err)
}

func (a *attacked) scrubConfig(file string) scrub.Config {
	return scrub.Config{Source: a.store.(scrub.Source), Origin: "dosewire.example/log", File: file, Floor: 1 << 30, Ceiling: 1 << 30, Rest: time.Nanosecond,
		State: func(p ledger.Prescription) error { return recorder.Intact(a.keys, p) },
		Parts: func(ctx context.Context, after, upTo uint64) (map[uint64]int, error) {
			return streams.Parcels(ctx, a.js, after, upTo)
		}, Log: a.config.Log}
}

// scrubbed is what the watch finds in one whole pass: names, and where.
func (a *attacked) scrubbed() (found []string) {
	for range 3 { // the rest of the pass in hand, a whole one, and the beginning of the next
		if err := a.scrub.Tick(context.Background()); err != nil {
			found = append(found, scrub.AlarmName(err))
		}
	}
	for _, d := range a.scrub.Damages() {
		found = append(found, fmt.Sprint(d.Name, " ", d.Index))
	}
	if a.scrub.Status().Unaccounted > 0 {
		found = append(found, "omitted")
	}
	return found
}

// detector is who finds it. want is the error that it must name; at, if not zero, the entry.
type detector struct {
	name string
	look func(*attacked) error
	want error
}

var (
	verifies = func(a *attacked) error {
		return verifyFrom(a, ledger.Head{Leaf: ledger.Origin("dosewire.example/log")})
	}
	remembers = func(a *attacked) error { return verifyFrom(a, a.known) }
	notarizes = func(a *attacked) error { return a.notary.Tick(context.Background()) }
)

func verifyFrom(a *attacked, from ledger.Head) error {
	_, _, err := ledger.Verify(context.Background(), a.store, from, nil)
	return err
}

// scrubs finds the alarm of want, at an entry if it has one.
func scrubs(want error) detector {
	return detector{"scrubber", func(a *attacked) error {
		for _, f := range a.scrubbed() {
			if name, _, _ := strings.Cut(f, " "); name == scrub.AlarmName(want) {
				return want
			}
		}
		return fmt.Errorf("found %v", a.scrub.Damages())
	}, want}
}

// halted is the running recorder, which ends with want.
func halted(want error) detector {
	return detector{"recorder halts", func(a *attacked) error {
		select {
		case err := <-a.done:
			a.done <- err // for close
			return err
		case <-time.After(15 * time.Second):
			return errors.New("it goes on after 15 s")
		}
	}, want}
}

// opens reads a record as every reader of plaintext does.
func opens(n int) func(*attacked) error {
	return func(a *attacked) error {
		ctx := context.Background()
		a.keys.ForgetAll()
		rec, err := a.store.Record(ctx, a.records[n].ID)
		if err != nil {
			return err
		}
		e, err := a.store.Entry(ctx, rec.Index)
		if err != nil {
			return err
		}
		key, err := a.keys.Key(ctx, rec.KeyID)
		if err != nil {
			return err
		}
		_, err = ledger.Open(key, rec, &e.Commitment)
		return err
	}
}

// promised compares what the senders were told with what is stored.
func promised(a *attacked) error {
	for _, an := range a.answers {
		e, err := a.store.Entry(context.Background(), *an.Index)
		if err != nil {
			return err
		}
		if fmt.Sprintf("%x", e.Leaf()) != an.Leaf {
			return ledger.ErrChain
		}
	}
	return nil
}

// TestAttacks is the attack table of the ledger: what a superuser can do to the stored data, who finds
// it, by which name, and how long that took from the deed on. A running hub looks once a second (head,
// notary) or in its next pass (rows): add that to the times that are logged.
func TestAttacks(t *testing.T) {
	flip := func(e *ledger.Entry) { e.Digest[0] ^= 1 }
	signed, fresh := 3, messages-2 // messages before and after the last checkpoint
	verifier := func(want error) detector { return detector{"verifier", verifies, want} }
	remembered := func(want error) detector { return detector{"verifier with an earlier head", remembers, want} }
	notaryTick := func(want error) detector { return detector{"notary", notarizes, want} }
	reader := func(n int, want error) detector { return detector{"reader", opens(n), want} }
	for _, tt := range []struct {
		row  string
		do   func(*attacked)
		seen []detector
	}{
		{"1 ledger row deleted", func(a *attacked) {
			a.touch(1, `DELETE FROM ledger WHERE idx = $1`, int64(a.records[signed].Index))
		}, []detector{verifier(ledger.ErrChain), scrubs(ledger.ErrChain)}},
		{"1 ledger row deleted, unsigned", func(a *attacked) {
			a.touch(1, `DELETE FROM ledger WHERE idx = $1`, int64(a.records[fresh].Index))
		}, []detector{notaryTick(notary.ErrGap), verifier(ledger.ErrChain), scrubs(ledger.ErrChain)}},
		{"1 the last ledger row deleted", func(a *attacked) {
			a.touch(1, `DELETE FROM ledger WHERE idx = $1`, int64(a.known.Size-1))
			a.publish(a.clinic, "next", order("A-next", oldBridgeNPI, "Aspirin"))
		}, []detector{notaryTick(notary.ErrGap), verifier(ledger.ErrHead), scrubs(ledger.ErrHead), halted(ledger.ErrHead)}},
		{"2 record row deleted", func(a *attacked) {
			a.touch(1, `DELETE FROM record WHERE id = $1`, a.records[signed].ID)
		}, []detector{verifier(ledger.ErrMissing), scrubs(ledger.ErrMissing), reader(signed, ledger.ErrNotFound)}},
		{"2 record row emptied without an erasure", func(a *attacked) {
			a.touch(1, `UPDATE record SET sealed = NULL, key_id = NULL, erased_by = $2 WHERE id = $1`, a.records[signed].ID, int64(a.records[fresh].Index))
		}, []detector{verifier(ledger.ErrErasure), scrubs(ledger.ErrErasure)}},
		{"2 record row emptied in the name of another's erasure", func(a *attacked) {
			a.send(a.clinic, "other", of("M-2", order("B-1", oldBridgeNPI, "Omeprazole")))
			who, _ := a.patient(a.clinic, "M-2")
			erasure := a.fact(recorder.FactErase, a.eraseFact(who))
			a.finished()
			a.verify()
			a.touch(1, `UPDATE record SET sealed = NULL, key_id = NULL, erased_by = $2 WHERE id = $1`, a.records[signed].ID, int64(*erasure.Index))
		}, []detector{verifier(ledger.ErrErasure), scrubs(ledger.ErrErasure)}},
		{"3 entry changed", func(a *attacked) { a.alter(a.records[signed].Index, flip) },
			[]detector{verifier(ledger.ErrDigest), scrubs(ledger.ErrDigest), scrubs(ledger.ErrChain)}},
		{"4 ciphertext changed", func(a *attacked) {
			a.touch(1, `UPDATE record SET sealed = overlay(sealed PLACING '\x00000000' FROM 60) WHERE id = $1`, a.records[signed].ID)
		}, []detector{verifier(ledger.ErrDigest), scrubs(ledger.ErrDigest), reader(signed, ledger.ErrSealed)}},
		{"4 header changed", func(a *attacked) {
			a.touch(1, `UPDATE record SET org = $2 WHERE id = $1`, a.records[signed].ID, a.clinic2.ID)
		}, []detector{verifier(ledger.ErrDigest), scrubs(ledger.ErrDigest), reader(signed, ledger.ErrSealed)}},
		{"5 entries reordered", func(a *attacked) {
			i := int64(a.records[signed].Index)
			for _, move := range [][2]int64{{i, 1000}, {i + 1, i}, {1000, i + 1}} {
				a.touch(1, `UPDATE ledger SET idx = $2 WHERE idx = $1`, move[0], move[1])
			}
		}, []detector{verifier(ledger.ErrChain), scrubs(ledger.ErrChain)}},
		{"6 tail cut after a checkpoint", func(a *attacked) {
			n := messages - unsigned - 2
			a.cut(a.records[n].Index, a.records[n].Seq-1)
		}, []detector{notaryTick(notary.ErrRollback), scrubs(ledger.ErrHead), remembered(ledger.ErrHead), halted(ledger.ErrHead)}},
		{"7 tail cut before its checkpoint", func(a *attacked) {
			a.cut(a.records[fresh].Index, a.records[fresh].Seq-1)
		}, []detector{{"what the sender was told", promised, ledger.ErrNotFound}, scrubs(ledger.ErrHead), remembered(ledger.ErrHead), halted(ledger.ErrHead)}},
		{"7 tail cut, the cursor kept, nobody remembers", func(a *attacked) {
			a.close()
			a.cut(a.records[fresh].Index, a.records[messages-1].Seq)
			a.start()
			a.openScrub(filepath.Join(a.dir, "another.json"))
		}, []detector{scrubs(scrub.ErrOmitted), {"what the sender was told", promised, ledger.ErrNotFound}}},
		{"9 an entry behind the head", func(a *attacked) {
			a.must(a.notary.Tick(context.Background())) // all of the ledger is signed
			e, _ := ledger.Link(a.known, ledger.KindAccess, time.UnixMilli(a.known.Time), ledger.Hash{1}, ledger.Hash{})
			raw := e.Bytes()
			a.touch(1, `INSERT INTO ledger (idx, entry) VALUES ($1, $2)`, int64(e.Index), raw[:])
		}, []detector{notaryTick(notary.ErrBeyond), scrubs(ledger.ErrHead)}},
		{"7 the head's time set ahead", func(a *attacked) {
			a.touch(1, `UPDATE head SET time = time + 864000000`)
		}, []detector{verifier(ledger.ErrHead), scrubs(ledger.ErrHead), halted(ledger.ErrHead)}},
		{"8 database restored from an old backup", func(a *attacked) {
			a.close()
			n := 2
			a.cut(a.records[n].Index, a.records[n].Seq-1) // as it was after two messages
			a.openStores(context.Background())
			a.t.Cleanup(func() { a.store.Close(); a.keysStore.Close() })
			a.notary = a.newNotary(a.store.(notary.Source), nil, filepath.Join(a.dir, "notary"))
		}, []detector{{"hub's start, by the notary", func(a *attacked) error { return a.notary.Check(context.Background()) }, notary.ErrRollback},
			{"hub's start, by the scrubber", func(a *attacked) error {
				_, err := scrub.Open(context.Background(), a.scrubConfig(filepath.Join(a.dir, "scrub.json")))
				return err
			}, ledger.ErrHead}}},
		{"9 whole chain recomputed", func(a *attacked) { a.relink(2, flip) },
			[]detector{notaryTick(notary.ErrRewrite), remembered(ledger.ErrHead), scrubs(ledger.ErrHead), halted(ledger.ErrHead), verifier(ledger.ErrDigest)}},
		{"10 checkpoint key stolen, forked log signed", func(a *attacked) {
			policy := a.witnessed()
			fork := forge(a.entries(), 4, flip)
			h, err := elsewhere(fork).Head(context.Background())
			a.must(err)
			more, _ := ledger.Link(h, ledger.KindStatement, time.UnixMilli(h.Time), ledger.Hash{1}, ledger.Hash{})
			a.notary = a.newNotary(elsewhere(append(fork, more)), policy, filepath.Join(a.dir, "thief"))
		}, []detector{{"witness", notarizes, notary.ErrFork}}},
		{"11 split view of the same size", func(a *attacked) {
			policy := a.witnessed()
			a.notary = a.newNotary(elsewhere(forge(a.entries(), 4, flip)), policy, filepath.Join(a.dir, "thief"))
		}, []detector{{"witness", notarizes, notary.ErrFork}}},
		{"12 ciphertexts swapped", func(a *attacked) {
			a.touch(2, `UPDATE record r SET sealed = o.sealed FROM record o WHERE r.id IN ($1, $2) AND o.id IN ($1, $2) AND r.id <> o.id`,
				a.records[signed].ID, a.records[signed+1].ID)
		}, []detector{verifier(ledger.ErrDigest), scrubs(ledger.ErrDigest), reader(signed, ledger.ErrSealed)}},
		{"13 row copied under a new id", func(a *attacked) {
			a.touch(1, `INSERT INTO record (idx, seq, epoch, version, id, org, of, key_id, type, sealed)
			  SELECT idx + 1000, seq, epoch, version, $2, org, $2, key_id, type, sealed FROM record WHERE id = $1`, a.records[signed].ID, ledger.ID{7})
		}, []detector{scrubs(ledger.ErrOrphan)}},
		{"14 the hub drops a message", func(a *attacked) {
			a.omit.Store(true)
			if an := a.send(a.clinic, "lost", []byte(`{"resourceType":"MedicationRequest"}`)); an.Status < 400 {
				a.t.Fatalf("not refused: %+v", an)
			}
			a.omit.Store(false)
			a.send(a.clinic, "kept", order("A-kept", oldBridgeNPI, "Aspirin"))
		}, []detector{scrubs(scrub.ErrOmitted)}},
		{"15 clock forward", func(a *attacked) {
			a.relink(a.records[fresh].Index, func(e *ledger.Entry) { e.Time = time.Now().Add(time.Minute).UnixMilli() })
		}, []detector{notaryTick(notary.ErrClock)}},
		{"15 clock back", func(a *attacked) {
			a.relink(a.records[fresh].Index, func(e *ledger.Entry) { e.Time -= time.Hour.Milliseconds() })
		}, []detector{verifier(ledger.ErrChain), notaryTick(notary.ErrClock), halted(ledger.ErrHead)}},
		{"17 an entry behind the head", func(a *attacked) {
			e, _ := ledger.Link(a.known, ledger.KindRecord, time.Now(), ledger.Hash{1}, ledger.Hash{2})
			raw := e.Bytes()
			a.touch(1, `INSERT INTO ledger (idx, entry) VALUES ($1, $2)`, int64(e.Index), raw[:])
		}, []detector{notaryTick(notary.ErrBeyond), scrubs(ledger.ErrHead), halted(ledger.ErrHead)}},
		{"16 patient key swapped", func(a *attacked) {
			tag, err := a.keep.Exec(context.Background(), `UPDATE patient_key SET blob = (SELECT blob FROM patient_key WHERE id <> $1 LIMIT 1) WHERE id = $1`, a.records[signed].KeyID)
			if err != nil || tag.RowsAffected() != 1 {
				a.t.Fatalf("%d rows, %v", tag.RowsAffected(), err)
			}
		}, []detector{reader(signed, ledger.ErrUnwrap)}},
		{"16 another plaintext under the same key, row and entry agreeing", func(a *attacked) {
			rec := a.records[fresh]
			key, err := a.keys.Key(context.Background(), rec.KeyID)
			a.must(err)
			if _, err := ledger.Seal(key, &rec, bytes.Repeat([]byte("x"), 300)); err != nil {
				a.t.Fatal(err)
			}
			a.touch(1, `UPDATE record SET sealed = $2 WHERE id = $1`, rec.ID, rec.Sealed)
			a.relink(rec.Index, func(e *ledger.Entry) { e.Digest = rec.Digest() })
		}, []detector{reader(fresh, ledger.ErrSealed), remembered(ledger.ErrHead)}},
		{"16 an erased key back from a backup", func(a *attacked) {
			ctx := context.Background()
			who, _ := a.patient(a.clinic, "M-1")
			_, err := a.keep.Exec(ctx, `CREATE TABLE backup AS SELECT * FROM patient_key WHERE patient = $1`, who.Patient)
			a.must(err)
			if an := a.fact(recorder.FactErase, a.eraseFact(who)); an.Status/100 != 2 {
				a.t.Fatalf("erase: %+v", an)
			}
			a.finished()
			_, err = a.keep.Exec(ctx, `INSERT INTO patient_key SELECT * FROM backup`)
			a.must(err)
		}, []detector{{"hub's start, from the erasures in the ledger", func(a *attacked) error {
			ids, err := a.store.(ledger.Eraser).ErasedKeys(context.Background(), ledger.ID{}, 100)
			a.must(err)
			if n, err := a.keys.Shred(context.Background(), ids); err != nil || n == 0 {
				return fmt.Errorf("%d keys found, %v", n, err)
			}
			return opens(signed)(a)
		}, ledger.ErrErased}}},
		{"state of a prescription changed", func(a *attacked) {
			a.touch(1, `UPDATE prescription SET status = 'cancelled' WHERE id = $1`, a.rx[signed])
		}, []detector{scrubs(ledger.ErrState)}},
		{"state of a prescription changed with its JSON", func(a *attacked) {
			a.touch(1, `UPDATE prescription SET status = 'cancelled', state = replace(convert_from(state, 'UTF8'), '"ready"', '"cancelled"')::bytea WHERE id = $1`, a.rx[signed])
		}, []detector{scrubs(ledger.ErrState)}},
		{"what safety checks compare changed", func(a *attacked) {
			a.touch(1, `UPDATE prescription SET therapy = substr(identity, 1, 12) WHERE id = $1`, a.rx[signed])
		}, []detector{scrubs(ledger.ErrState)}},
		{"disclosure changed", func(a *attacked) { a.touch(1, `UPDATE access SET person = 'nobody'`) },
			[]detector{verifier(ledger.ErrDigest), scrubs(ledger.ErrDigest)}},
	} {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			a := besiege(t)
			tt.do(a)
			for _, d := range tt.seen {
				began := time.Now()
				err := d.look(a)
				if !errors.Is(err, d.want) {
					t.Errorf("%s: %v, want %v", d.name, err, d.want)
				}
				t.Logf("%-40s %-34s %-70v %v", tt.row, d.name, err, time.Since(began).Round(100*time.Microsecond))
			}
		})
	}
}

// TestReplaysLeaveNoEntry is row 13's other half: one message, delivered again and again under one id.
func TestReplaysLeaveNoEntry(t *testing.T) {
	a := besiege(t)
	const repeats = 20 // each outlives the stream's own window for duplicates
	for range repeats {
		a.must(a.publisher.Publish(t.Context(), message(a.clinic, "m3", order("A-3", oldBridgeNPI, "Amoxicillin"))))
	}
	a.send(a.clinic, "m3", order("A-3", oldBridgeNPI, "Amoxicillin"))
	a.verify()
	h, err := a.store.Head(t.Context())
	a.must(err)
	if h.Size != a.known.Size || h.Seq < repeats+messages {
		t.Errorf("%d entries and sequence %d after %d repeats, want %d entries", h.Size, h.Seq, repeats, a.known.Size)
	}
	if found := a.scrubbed(); len(found) != 0 || a.scrub.Status().Reconciled != h.Seq {
		t.Errorf("%v, reconciled to %d of %d", found, a.scrub.Status().Reconciled, h.Seq)
	}
}
