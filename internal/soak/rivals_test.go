package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/postgres"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/streams"
)

// fight is several recorder processes on one database and one stream.
type fight struct {
	t       *testing.T
	records string
	store   *postgres.Store
	root    *pgx.Conn
	js      jetstream.JetStream
	publish *streams.Publisher
	rivals  []*rival

	mu        sync.Mutex
	leader    int               // who said last that it leads
	terms     map[uint64]bool   // that led
	announced map[uint64]uint64 // last effect of an announcement → the highest term that announced it
	twice     map[uint64]bool   // announced by two terms: the second time under the same ids

	clinic, pharmacy ledger.ID
	deeds            map[string]int
}

func newFight(t *testing.T, processes int) *fight {
	t.Helper()
	ctx := t.Context()
	f := &fight{t: t, terms: map[uint64]bool{}, announced: map[uint64]uint64{}, twice: map[uint64]bool{}, deeds: map[string]int{}}
	f.records = database.Database(t)
	keys := database.Database(t)
	if err := postgres.Migrate(ctx, f.records); err != nil {
		t.Fatal(err)
	}
	if err := postgres.MigrateKeys(ctx, keys); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.store, err = postgres.Open(ctx, postgres.Config{DSN: f.records}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	if f.root, err = pgx.Connect(ctx, f.records); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.root.Close(context.WithoutCancel(ctx)) })
	address := f.broker()
	dir := t.TempDir()
	for i := range processes {
		f.rivals = append(f.rivals, newRival(t, f.records, keys, address, dir, func(v sight) { f.tell(i, v) }))
	}
	return f
}

// broker is a NATS server of its own, as a cluster would be: without accounts, synced to disk.
func (f *fight) broker() string {
	f.t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: f.t.TempDir(), SyncAlways: true,
		NoLog: true, NoSigs: true, MaxPayload: 1<<20 + 64<<10})
	if err != nil {
		f.t.Fatal(err)
	}
	go s.Start()
	f.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		f.t.Fatal("the NATS server did not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(nc.Close)
	if f.js, err = jetstream.New(nc); err != nil {
		f.t.Fatal(err)
	}
	if f.publish, err = streams.NewPublisher(nc); err != nil {
		f.t.Fatal(err)
	}
	return s.Addr().String()
}

// tell hears what a rival says of itself.
func (f *fight) tell(i int, v sight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.terms[v.Term] {
		f.leader = i
	}
	f.terms[v.Term] = true
	if v.Last == 0 {
		return
	}
	if was, seen := f.announced[v.Last]; seen && was != v.Term {
		f.twice[v.Last] = true
	}
	f.announced[v.Last] = max(f.announced[v.Last], v.Term)
}

// organisation makes one by its fact and waits until it is recorded.
func (f *fight) organisation(kind, npi string) ledger.ID {
	f.t.Helper()
	org := ledger.Organization{ID: uuid.Must(uuid.NewV7()), Kind: kind, Name: kind, Identifiers: []ledger.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: npi}}}
	body, err := json.Marshal(recorder.OrganizationFact{Organization: org})
	if err != nil {
		f.t.Fatal(err)
	}
	m := streams.Message{ID: "hub." + org.ID.String(), Subject: streams.FactSubject(recorder.FactOrganization), Body: body}
	f.until(30*time.Second, "the streams", func() bool { return f.publish.Publish(f.t.Context(), m) == nil })
	f.until(30*time.Second, "the organisation", func() bool {
		orgs, _, err := f.store.Directory(f.t.Context())
		return err == nil && slices.ContainsFunc(orgs, func(o ledger.Organization) bool { return o.ID == org.ID })
	})
	return org.ID
}

func (f *fight) until(limit time.Duration, what string, is func() bool) {
	f.t.Helper()
	for began := time.Now(); !is(); time.Sleep(50 * time.Millisecond) { // other processes work
		if time.Since(began) > limit {
			f.t.Fatalf("%s: not after %v", what, limit)
		}
	}
}

// trouble makes life hard for the rivals until ctx ends; then all are awake.
func (f *fight) trouble(ctx context.Context, random *rand.Rand) {
	var asleep sync.WaitGroup
	whole := context.WithoutCancel(ctx) // a query that is cancelled takes its connection along, which is the judge's too
	for ctx.Err() == nil {
		f.mu.Lock()
		r := f.rivals[f.leader]
		f.mu.Unlock()
		if random.IntN(3) == 0 {
			r = f.rivals[random.IntN(len(f.rivals))]
		}
		deed := []string{"paused", "paused", "lease stolen", "connections cut", "sessions ended", "killed"}[random.IntN(6)]
		switch deed {
		case "paused":
			r.signal(syscall.SIGSTOP)
			length := time.Duration(200+random.IntN(5000)) * time.Millisecond // up to well past the lease
			asleep.Go(func() {
				time.Sleep(length)
				r.signal(syscall.SIGCONT)
			})
		case "lease stolen":
			_, _ = f.root.Exec(whole, `UPDATE head SET lease_until = '-infinity', term = term + $1`, random.IntN(2))
		case "connections cut":
			r.cut(random.IntN(3))
		case "sessions ended":
			_, _ = f.root.Exec(whole, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dosewire'
			  AND pid <> pg_backend_pid() AND random() < 0.3`)
		case "killed":
			r.signal(syscall.SIGKILL)
		}
		f.deeds[deed]++
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(100+random.IntN(600)) * time.Millisecond):
		}
	}
	asleep.Wait()
}

// load publishes n prescriptions, a few of them twice, at no more than rate a second.
func (f *fight) load(n, rate int) {
	var next atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				id := fmt.Sprint("s", i)
				m := streams.Message{ID: f.clinic.String() + "." + id, Subject: streams.IntakeSubject(f.clinic.String(), streams.TypeMedicationRequest), Body: order(id)}
				for f.publish.Publish(context.Background(), m) != nil {
					time.Sleep(20 * time.Millisecond) // a publisher tries the same id again
				}
				if i%50 == 0 {
					time.Sleep(150 * time.Millisecond) // past the stream's window for duplicates
					_ = f.publish.Publish(context.Background(), m)
				}
			}
		})
	}
	wg.Wait()
}

// delivered receives all of RX_DELIVERY: the numbers of effects in the stream's order.
func (f *fight) delivered() (numbers []uint64) {
	f.t.Helper()
	ctx := f.t.Context()
	s, err := f.js.Stream(ctx, streams.Delivery)
	if err != nil {
		f.t.Fatal(err)
	}
	at := map[uint64]uint64{} // stream sequence → number of the effect
	want := s.CachedInfo().State.Msgs
	for _, org := range []ledger.ID{f.clinic, f.pharmacy} {
		c, err := f.js.Consumer(ctx, streams.Delivery, streams.ConsumerName(org.String()))
		if err != nil {
			f.t.Fatal(err)
		}
		for more := true; more; {
			batch, err := c.Fetch(1000, jetstream.FetchMaxWait(2*time.Second))
			if err != nil {
				f.t.Fatal(err)
			}
			more = false
			for m := range batch.Messages() {
				meta, err := m.Metadata()
				if err != nil {
					f.t.Fatal(err)
				}
				n, err := strconv.ParseUint(m.Headers().Get(streams.HeaderDelivery), 10, 64)
				if err != nil {
					f.t.Fatal(err)
				}
				at[meta.Sequence.Stream], more = n, true
				if err := m.Ack(); err != nil {
					f.t.Fatal(err)
				}
			}
		}
	}
	if uint64(len(at)) != want {
		f.t.Errorf("received %d of %d deliveries", len(at), want)
	}
	for _, seq := range slices.Sorted(maps.Keys(at)) {
		numbers = append(numbers, at[seq])
	}
	return numbers
}

// Four recorder processes fight over one database and one stream while prescriptions come in: leases are
// stolen, processes paused beyond their lease, connections cut, sessions ended, processes killed. Then
// there is one chain, one record for each message, one delivery for each effect in its order, none of
// them by a recorder whose successor had announced already, and no deadlock.
func TestFourRecordersFight(t *testing.T) {
	messages, rate := 8000, 320
	if testing.Short() {
		messages, rate = 1500, 150
	}
	if n, err := strconv.Atoi(os.Getenv("SOAK_MESSAGES")); err == nil {
		messages, rate = n, 1500
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d messages", seed, messages)
	f := newFight(t, 4)
	ctx, end := context.WithCancel(t.Context())
	var alive sync.WaitGroup
	for _, r := range f.rivals {
		alive.Go(func() { r.run(ctx) })
	}
	defer func() {
		end()
		for _, r := range f.rivals {
			r.signal(syscall.SIGCONT)
			r.signal(syscall.SIGTERM)
		}
		alive.Wait()
	}()
	f.pharmacy = f.organisation("pharmacy", "1558203947")
	f.clinic = f.organisation("clinic", "1902847563")
	for _, org := range []ledger.ID{f.pharmacy, f.clinic} {
		if err := streams.EnsureConsumer(ctx, f.js, org.String()); err != nil {
			t.Fatal(err)
		}
	}

	began := time.Now()
	trouble, calm := context.WithCancel(ctx)
	var chaos sync.WaitGroup
	chaos.Go(func() { f.trouble(trouble, rand.New(rand.NewPCG(seed, 0))) })
	f.load(messages, rate)
	calm()
	chaos.Wait()
	var head ledger.Head
	f.until(5*time.Minute, "everything recorded and announced", func() bool {
		s, err := f.js.Stream(ctx, streams.Intake)
		if err != nil {
			return false
		}
		announced, err := f.store.Acknowledged(ctx)
		if err != nil {
			return false
		}
		head, err = f.store.Head(ctx)
		return err == nil && head.Seq >= s.CachedInfo().State.LastSeq && announced[ledger.ID{}] >= head.Deliveries
	})
	f.judge(messages, head)
	for i, r := range f.rivals {
		r.mu.Lock()
		if r.halted != "" {
			t.Errorf("recorder %d halted: %s", i, r.halted)
		}
		r.mu.Unlock()
	}
	t.Logf("%d messages in %v, %d terms, %v", messages, time.Since(began).Round(time.Second), len(f.terms), f.deeds)
}

// judge looks at what is left of the fight.
func (f *fight) judge(messages int, head ledger.Head) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	if _, _, err := ledger.Verify(ctx, f.store, ledger.Head{Leaf: ledger.Origin("dosewire.example/log")}, nil); err != nil {
		t.Errorf("verify: %v", err)
	}
	var records, distinct int
	err := f.root.QueryRow(ctx, `SELECT count(*), count(DISTINCT m.hash) FROM record r JOIN message m ON m.record = r.id WHERE r.type = 'MedicationRequest'`).Scan(&records, &distinct)
	if err != nil || records != messages || distinct != messages {
		t.Errorf("%d records of %d messages, want %d; %v", records, distinct, messages, err)
	}
	var deadlocks int
	if err := f.root.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil || deadlocks != 0 {
		t.Errorf("%d deadlocks, %v", deadlocks, err)
	}
	s, err := scrub.Open(ctx, scrub.Config{Source: f.store, Origin: "dosewire.example/log", Floor: 1 << 30, Ceiling: 1 << 30, Rest: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	f.until(2*time.Minute, "a pass of the scrubber", func() bool {
		if err := s.Tick(ctx); err != nil {
			t.Errorf("scrub: %v", err)
		}
		return s.Status().Passes > 0 && s.Status().Reconciled == head.Seq
	})
	if st := s.Status(); st.Damaged != 0 || st.Unaccounted != 0 {
		t.Errorf("scrub: %+v %v", st, s.Damages())
	}
	f.order()
}

// order looks at the deliveries: every effect that is one, once, in its order; and at who announced.
func (f *fight) order() {
	t := f.t
	numbers := f.delivered()
	repeated, backwards := 0, 0
	seen := make(map[uint64]bool, len(numbers))
	var last uint64
	for _, n := range numbers {
		switch {
		case seen[n]:
			repeated++
		case n < last:
			backwards++
		}
		seen[n], last = true, max(last, n)
	}
	var deliveries int
	if err := f.root.QueryRow(t.Context(), `SELECT count(*) FROM effect WHERE kind = 'deliver'`).Scan(&deliveries); err != nil {
		t.Fatal(err)
	}
	if repeated != 0 || backwards != 0 || len(seen) != deliveries {
		t.Errorf("%d deliveries repeated, %d out of order, %d of %d there", repeated, backwards, len(seen), deliveries)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	deposed := 0
	var term uint64
	for _, last := range slices.Sorted(maps.Keys(f.announced)) {
		if f.twice[last] {
			continue // the successor found it announced: the stream knew the ids
		}
		if f.announced[last] < term {
			deposed++
		}
		term = max(term, f.announced[last])
	}
	if deposed != 0 {
		t.Errorf("%d announcements by recorders whose successor had announced", deposed)
	}
	t.Logf("%d deliveries, %d announcements, %d of them found done by the successor", len(numbers), len(f.announced), len(f.twice))
}
