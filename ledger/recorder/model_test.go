package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

var (
	modelSeed = flag.Uint64("seed", 0, "of the model test; 0 = by chance")
	modelSize = flag.String("model", "10x100", "pharmacies x prescriptions of the model test")
)

// TestModel feeds a recorder what a bad world feeds it: messages lost, repeated and out of order, clocks
// that jump, and crashes on both sides of a commit. A reference model that knows nothing of the recorder but
// PROTOCOL.md follows what was answered.
func TestModel(t *testing.T) {
	var pharmacies, prescriptions int
	if n, err := fmt.Sscanf(*modelSize, "%dx%d", &pharmacies, &prescriptions); n != 2 || err != nil {
		t.Fatalf("-model %s: %v", *modelSize, err)
	}
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Run("sqlite", func(t *testing.T) { newWorld(t, seed, pharmacies).live(prescriptions) })
	t.Run("postgres", func(t *testing.T) { newWorld(t, seed, pharmacies, (*hub).onPostgres).live(prescriptions) })
}

// course is what the model believes about one prescription: the words of PROTOCOL §4 and no more.
type course struct {
	identifier, id string
	body           []byte // the order in force
	patient        string // mrn
	allowed        int    // fills, N + 1
	issued         bool
	sent           map[int]bool
	home, routed   int // pharmacies: the order's, and the one that has it now; -1 = none
	declined       map[int]bool
	holder         int    // -1 = nobody
	dispense       string // that the holder claimed with
	claim          uint64
	lease          time.Time
	balance        bool // the holder has handed over a part
	pending        bool
	onHold         bool
	cancelled      bool
	ended          bool // a cancel waited when the last fill was handed over
	done           int  // hand-overs that closed a fill, flagged ones too
	unflagged      int
	amount         int // that was handed over without a flag
	parts          []handed
	last           handed            // that closed a fill
	lastParts      []handed          // of which it was one
	open           map[int]string    // pharmacy → its dispense in work
	serves         map[string]uint64 // dispense → its claim: it serves one only
	versions       map[string]int    // of dispenses
	story          []string          // what was answered, for whoever reads a failure
}

// handed is a hand-over.
type handed struct {
	pharmacy int
	dispense string
	amount   int
	flagged  bool
	at       time.Time
}

func (c *course) String() string {
	return fmt.Sprintf("allowed %d, done %d, parts %v, last %v, holder %d with %s, claim %d until %v, routed %d, sent %v, declined %v, pending %v, on hold %v, cancelled %v, ended %v",
		c.allowed, c.done, c.parts, c.last, c.holder, c.dispense, c.claim, c.lease, c.routed, sortedKeys(c.sent), sortedKeys(c.declined), c.pending, c.onHold, c.cancelled, c.ended)
}

// advance is what time alone does.
func (c *course) advance(now time.Time) {
	if c.holder >= 0 && !now.Before(c.lease) {
		c.free()
	}
}

func (c *course) free() {
	c.holder, c.dispense, c.balance = -1, "", false
	if c.pending {
		c.pending = false
		c.cancelled, c.ended = c.done < c.allowed, c.ended || c.done >= c.allowed
	}
	c.onHold = c.onHold && !c.over()
}

// take gives the free fill to a pharmacy.
func (c *course) take(m *sentMessage, claim uint64) {
	c.holder, c.dispense, c.claim, c.lease, c.balance = m.pharmacy, m.dispense, claim, time.Time{}, false
}

// extend never shortens a hold; a holder that is asked to stop gets a day.
func (c *course) extend(now time.Time, lease time.Duration) {
	if c.pending {
		lease = 24 * time.Hour
	}
	if end := now.Add(lease); end.After(c.lease) {
		c.lease = end
	}
}

func (c *course) over() bool { return c.cancelled || c.ended || c.done >= c.allowed }

// ready: a fill is free.
func (c *course) ready() bool { return c.issued && c.holder < 0 && !c.over() }

// here: what is sent to another pharmacy is that one's.
func (c *course) here(p int) bool { return c.routed < 0 || c.routed == p }

// fenced: the dispense speaks of the current claim of its holder.
func (c *course) fenced(dispense string) bool {
	if claim := c.serves[dispense]; claim != 0 {
		return claim == c.claim
	}
	return dispense == c.dispense || c.balance
}

// given is what other dispenses handed over of the open fill.
func (c *course) given(dispense string) (n int) {
	for _, h := range c.parts {
		if h.dispense != dispense {
			n += h.amount
		}
	}
	return n
}

// forget takes a part back.
func (c *course) forget(dispense string) {
	c.parts = slices.DeleteFunc(slices.Clone(c.parts), func(h handed) bool {
		if h.dispense == dispense && !h.flagged {
			c.amount -= h.amount
		}
		return h.dispense == dispense
	})
}

// sentMessage is a message with what the model needs to judge its answer.
type sentMessage struct {
	streams.Message
	kind     string // issue, amend, hold, cancel, claim, ready, query, handover, release, decline, withdraw, nominate, due, fact
	c        *course
	pharmacy int
	dispense string
	amount   int
	order    []byte // of a clinic's message
	key      ledger.Key
	answer   []byte // the first one, as stored
}

type world struct {
	*hub
	seed     uint64
	random   *rand.Rand
	now      time.Time
	r        *recorder.Recorder
	orgs     []ledger.Organization // pharmacies
	all      []*course
	seq      uint64
	stream   []*sentMessage // by sequence - first
	past     []*sentMessage
	late     []*sentMessage
	crash    string
	counts   map[string]int
	lastTime time.Time // of the latest decision
	effects  []ledger.Effect
	seen     uint64 // effects read
}

func newWorld(t *testing.T, seed uint64, pharmacies int, options ...func(*hub)) *world {
	h := &hub{t: t, dir: t.TempDir()}
	for _, o := range options {
		o(h)
	}
	w := &world{hub: h, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), now: time.Now().AddDate(-5, 0, 0).Truncate(time.Millisecond), counts: map[string]int{}}
	ctx := t.Context()
	wrapper, err := filekey.Open(filepath.Join(h.dir, "keys", "kek"))
	h.must(err)
	h.openStores(ctx)
	t.Cleanup(func() { h.store.Close(); h.keysStore.Close() })
	h.keys, err = ledger.OpenKeyring(ctx, h.keysStore, wrapper)
	h.must(err)
	h.config.Fault = func(point string, _ uint64) error {
		if point != w.crash {
			return nil
		}
		return ledger.ErrHeadMoved // ends the recorder where it stands
	}
	h.must(recorder.Begin(ctx, h.config, w.deps(), w.now))
	w.restart()
	h.clinic = w.enrol("clinic", 0)
	for i := range pharmacies {
		w.orgs = append(w.orgs, w.enrol("pharmacy", i+1))
	}
	return w
}

func (w *world) deps() recorder.Deps {
	orgs, clients, err := w.store.Directory(context.Background())
	w.must(err)
	return recorder.Deps{Store: w.store, Reader: w.store, Keys: w.keys, Directory: directory.New(orgs, clients), Devices: w.store}
}

// restart drops the recorder, if there is one, and lets another go on where the ledger ends.
func (w *world) restart() {
	w.t.Helper()
	w.crash = ""
	if w.r != nil {
		head, err := w.store.Head(context.Background())
		w.must(err)
		w.must(w.store.Release(context.Background(), head.Term)) // its lease has run out
		w.counts["crashes"]++
	}
	r, err := recorder.OpenDetached(context.Background(), w.config, w.deps())
	w.must(err)
	w.r = r
}

// enrol makes an organisation by its fact. Its id is by chance, like all that the seed decides.
func (w *world) enrol(kind string, n int) ledger.Organization {
	org := ledger.Organization{ID: w.uuid(), Kind: kind, Name: fmt.Sprint(kind, " ", n),
		Identifiers: []ledger.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: w.npi(n)}}}
	body, err := json.Marshal(recorder.OrganizationFact{Organization: org})
	w.must(err)
	w.feed(w.message("fact", streams.Message{ID: "hub." + org.ID.String(), Subject: streams.FactSubject(recorder.FactOrganization), Body: body}, ledger.ID{}))
	return org
}

func (w *world) npi(n int) string { return fmt.Sprintf("%010d", 1000000000+n) }

func (w *world) uuid() (id ledger.ID) {
	for i := range id {
		id[i] = byte(w.random.Uint32())
	}
	ms := w.now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return uuid.UUID(id)
}

func (w *world) message(kind string, m streams.Message, org ledger.ID) *sentMessage {
	name := m.ID
	if org != (ledger.ID{}) {
		name = strings.TrimPrefix(m.ID, org.String()+".")
	}
	return &sentMessage{Message: m, kind: kind, pharmacy: -1, key: w.keys.Index(org, "msg", name)}
}

// feed puts messages on the stream and lets the recorder take them, crashes included; then the model
// follows.
func (w *world) feed(ms ...*sentMessage) {
	w.t.Helper()
	for _, m := range ms {
		w.seq++
		w.now = w.now.Add(time.Duration(w.random.IntN(2000)) * time.Millisecond)
		c := *m // the same message again has another sequence
		c.Seq, c.Time = w.seq, w.now
		if w.random.IntN(10) == 0 {
			c.Time = c.Time.Add(-time.Duration(w.random.IntN(5000)) * time.Millisecond) // a clock that is behind
		}
		w.stream = append(w.stream, &c)
		m.Seq, m.Time = c.Seq, c.Time
	}
	for {
		from := int(w.r.Position().Seq)
		batch := make([]streams.Message, 0, len(ms))
		for _, m := range w.stream[from:] {
			batch = append(batch, m.Message)
		}
		if len(batch) == 0 {
			break
		}
		switch w.random.IntN(20) {
		case 0:
			w.crash = "before commit"
		case 1:
			w.crash = "after commit"
		case 2:
			w.restart() // between two batches
		}
		err := w.r.Take(context.Background(), batch)
		if err != nil && w.crash == "" {
			w.t.Fatalf("seed %d: %v", w.seed, err)
		}
		if w.crash != "" {
			w.restart()
		}
	}
	w.follow(ms)
}

// follow reads what was decided, from the database, and holds it against the model.
func (w *world) follow(ms []*sentMessage) {
	w.t.Helper()
	var want ledger.Want
	for _, m := range ms {
		want.Messages = append(want.Messages, m.key)
	}
	have, err := w.store.Load(context.Background(), want)
	w.must(err)
	at := time.Time{}
	for _, m := range ms {
		if m.Time.After(at) {
			at = m.Time
		}
		if at.Before(w.lastTime) {
			at = w.lastTime
		}
		row, ok := have.Messages[m.key]
		if m.answer != nil {
			if !bytes.Equal(row.Answer, m.answer) {
				w.fail(m, "the first decision has changed")
			}
			w.counts["repeats"]++
			continue
		}
		var a streams.Answer
		if ok {
			w.must(json.Unmarshal(row.Answer, &a))
			a.Issues = nil
			if m.answer = row.Answer; row.Record == (ledger.ID{}) {
				w.fail(m, "remembered and not recorded")
			}
		}
		w.counts[m.kind]++
		if m.c != nil {
			m.c.advance(at)
			w.judge(m, a, ok, at)
		}
		w.lastTime = at
	}
}

func (w *world) fail(m *sentMessage, format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d, message %d (%s of pharmacy %d, prescription %s): %s\nmodel: %v\n%s", w.seed, m.Seq, m.kind, m.pharmacy, m.c.identifier,
		fmt.Sprintf(format, args...), m.c, strings.Join(m.c.story, "\n"))
}

// judge moves the model by what was answered, and fails where the two disagree.
func (w *world) judge(m *sentMessage, a streams.Answer, recorded bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	granted := recorded && a.Status/100 == 2
	var res streams.Resource
	if len(a.Resources) > 0 {
		res = a.Resources[0]
	}
	c.story = append(c.story, fmt.Sprintf("%s %s of %d, %s of %d: %d %s, %s, version %d", now.Format(time.RFC3339), m.kind, p, m.dispense, m.amount, a.Status, res.Code, res.State, res.Version))
	again := false // a dispense says once more what it said
	if m.dispense != "" && granted {
		again = res.Version == c.versions[m.dispense]
		c.versions[m.dispense] = res.Version
	}
	switch m.kind {
	case "issue":
		w.judgeOrder(m, a, res, granted)
	case "amend":
		if !granted {
			return
		}
		if !c.ready() || c.done > 0 || len(c.parts) > 0 {
			w.fail(m, "an amendment of what is begun: %+v", a)
		}
		c.body, c.onHold = m.order, false // it names the pharmacy that it named before, and stays where it is
		w.counts["amended"]++
	case "hold":
		if want := c.issued && !c.over() && !c.pending; granted != want {
			w.fail(m, "stopped %v, want %v: %+v", granted, want, a)
		}
		c.onHold = c.onHold || granted
	case "cancel":
		switch {
		case c.holder >= 0 && !c.pending:
			if !granted || a.Code != string(fault.CodeCancelPending) && res.Code != string(fault.CodeCancelPending) {
				w.fail(m, "a cancel while it is held: %+v", a)
			}
			c.pending = true
			if end := now.Add(24 * time.Hour); end.Before(c.lease) {
				c.lease = end
			}
		case c.holder < 0 && !c.over():
			if !granted {
				w.fail(m, "a cancel of what nobody holds: %+v", a)
			}
			c.cancelled, c.onHold = true, false
		}
	case "claim", "ready":
		w.judgeClaim(m, a, res, recorded, granted, again, now)
	case "query":
		w.want(m, a, granted, again, c.holder == p && c.fenced(m.dispense))
		if granted {
			c.serves[m.dispense] = c.claim
			c.extend(now, 72*time.Hour)
		}
	case "handover":
		w.judgeHandOver(m, a, res, recorded, granted, again, now)
	case "release":
		w.want(m, a, granted, again, c.holder == p && c.fenced(m.dispense))
		if granted && !again {
			c.free()
		}
	case "decline":
		held := c.holder == p && c.fenced(m.dispense)
		w.want(m, a, granted, again, held || c.ready() && c.here(p) && !c.declined[p])
		if granted && !again {
			c.declined[p] = true
			if c.routed == p {
				c.routed = -1
			}
			if held {
				c.free()
			}
			w.counts["declined"]++
		}
	case "withdraw":
		w.judgeWithdrawal(m, a, granted, again, now)
	case "nominate":
		w.judgeNomination(m, a, res, granted, now)
	}
}

// want demands that a pharmacy's message that ends or changes its hold is taken exactly when it should be.
func (w *world) want(m *sentMessage, a streams.Answer, granted, again, want bool) {
	w.t.Helper()
	if want = want && m.c.sent[m.pharmacy]; granted && !again && !want || !granted && want {
		w.fail(m, "taken %v, want %v: %+v", granted, want, a)
	}
}

func (w *world) judgeOrder(m *sentMessage, a streams.Answer, res streams.Resource, granted bool) {
	w.t.Helper()
	c := m.c
	same := !c.issued || bytes.Equal(m.order, c.body)
	switch {
	case !granted && !((c.cancelled || c.pending || !same) && a.Status == 409) && !c.over():
		w.fail(m, "an order is refused: %+v", a)
	case granted && !same:
		w.fail(m, "another order under the same identifier: %+v", a)
	case !granted:
	case c.issued:
		c.onHold = false
	default:
		c.issued, c.id = true, res.Rx
		if !c.cancelled {
			c.sent[c.home] = true
		}
	}
}

// judgeNomination: the patient's choice is also for what waits for one.
func (w *world) judgeNomination(m *sentMessage, a streams.Answer, res streams.Resource, granted bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	if want := c.ready() && !c.declined[p] || c.holder == p; granted && res.Rx == c.id && !want && c.routed != p {
		w.fail(m, "it was sent on: %+v", a)
	}
	if !granted {
		return
	}
	for _, other := range w.all {
		if other.patient != c.patient {
			continue
		}
		if other.issued {
			other.advance(now)
		}
		if other.ready() && !other.declined[p] && (other == c || other.routed < 0) {
			other.sent[p], other.routed = true, p
		}
	}
}

func (w *world) judgeClaim(m *sentMessage, a streams.Answer, res streams.Resource, recorded, granted, again bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	switch {
	case !c.sent[p]:
		if recorded {
			w.fail(m, "a claim of who was never sent it is recorded: %+v", a)
		}
		return
	case !granted:
		if (!recorded || a.Status != 409) && !c.declined[p] {
			w.fail(m, "a losing claim: %+v", a)
		}
		if c.ready() && c.here(p) && !c.declined[p] && !c.onHold && c.serves[m.dispense] == 0 {
			w.fail(m, "nobody holds it and it may be claimed here: %+v", a)
		}
		w.counts["lost claims"]++
		return
	case c.holder >= 0 && c.holder != p:
		w.fail(m, "two holders: %+v", a)
	case again:
		return
	case c.holder < 0 && (!c.ready() || !c.here(p) || c.declined[p] || c.onHold || c.serves[m.dispense] != 0):
		w.fail(m, "it may not be claimed: %+v", a)
	case c.holder == p && (!c.fenced(m.dispense) || c.pending || c.onHold):
		w.fail(m, "work goes on with what is stopped: %+v", a)
	}
	if c.holder < 0 {
		if res.Claim <= c.claim {
			w.fail(m, "claim %d after %d", res.Claim, c.claim)
		}
		c.take(m, res.Claim)
		w.counts["won claims"]++
	}
	c.serves[m.dispense] = c.claim
	if m.kind == "ready" {
		c.extend(now, 14*24*time.Hour)
	} else {
		c.extend(now, 72*time.Hour)
	}
}

func (w *world) judgeHandOver(m *sentMessage, a streams.Answer, res streams.Resource, recorded, granted, again bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	if !c.sent[p] {
		if recorded {
			w.fail(m, "a hand-over of who was never sent it consumes a fill: %+v", a)
		}
		return
	}
	if !granted || a.Index == nil {
		w.fail(m, "a hand-over is not recorded: %+v", a)
	}
	if again {
		w.counts["hand-overs said again"]++
		return
	}
	w.counts["recorded hand-overs"]++
	own, free := c.holder == p, c.holder < 0
	mine := own || free
	over := c.given(m.dispense) + m.amount
	late := !own && (c.serves[m.dispense] != 0 || c.declined[p] || c.ready() && !c.here(p)) ||
		own && c.serves[m.dispense] != 0 && c.serves[m.dispense] != c.claim
	conflict := late || !mine || c.done >= c.allowed || c.cancelled || c.ended && c.done < c.allowed || c.pending || c.onHold || mine && over > 10
	flagged := res.Code == string(fault.CodeFlagged)
	if conflict != flagged {
		w.fail(m, "flagged %v, conflict %v: %+v", flagged, conflict, a)
	}
	w.told(m, flagged)
	h := handed{p, m.dispense, m.amount, flagged, now}
	if flagged {
		w.counts["flagged"]++
	}
	if over < 10 {
		w.counts["parts"]++
		switch {
		case own:
			c.extend(now, 14*24*time.Hour)
		case c.ready() && !late:
			c.take(m, res.Claim)
			c.extend(now, 14*24*time.Hour)
		default:
			c.serve(m.dispense, res.Claim)
			c.count(h, w, m)
			return
		}
		c.balance = true
		c.forget(m.dispense)
		c.parts = append(c.parts, h)
	} else {
		c.done++
		if mine {
			for _, before := range c.parts {
				if before.dispense == m.dispense && !before.flagged {
					c.amount -= before.amount // its amount is all that it handed over
				}
			}
			c.lastParts, c.parts = c.parts, nil
		} else {
			c.lastParts = nil
		}
		c.last = h
		if !flagged {
			c.unflagged++
		}
		c.claim = max(c.claim, res.Claim)
		if mine || c.done >= c.allowed {
			c.free()
		}
	}
	c.serve(m.dispense, res.Claim)
	c.count(h, w, m)
}

// serve notes which claim a dispense serves: the first.
func (c *course) serve(dispense string, claim uint64) {
	if c.serves[dispense] == 0 {
		c.serves[dispense] = claim
	}
}

// count demands that what nobody objected to is no more than was prescribed.
func (c *course) count(h handed, w *world, m *sentMessage) {
	w.t.Helper()
	if !h.flagged {
		c.amount += h.amount
	}
	if c.unflagged > c.allowed || c.amount > 10*c.allowed {
		w.fail(m, "%d fills of %d, %d of %d tablets without a flag", c.unflagged, c.allowed, c.amount, 10*c.allowed)
	}
}

// judgeWithdrawal: a pharmacy takes back its claim, or within a week its hand-over.
func (w *world) judgeWithdrawal(m *sentMessage, a streams.Answer, granted, again bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	held := c.holder == p && c.fenced(m.dispense)
	last := c.last.dispense == m.dispense && now.Before(c.last.at.Add(7*24*time.Hour))
	part := slices.ContainsFunc(c.parts, func(h handed) bool { return h.dispense == m.dispense })
	w.want(m, a, granted, again, held || last || part)
	if !granted || again {
		return
	}
	w.counts["withdrawn"]++
	switch {
	case held:
		c.forget(m.dispense)
		c.free()
	case last:
		c.done--
		if !c.last.flagged {
			c.unflagged--
			c.amount -= c.last.amount
		}
		c.parts = append(c.lastParts, c.parts...)
		c.last, c.lastParts = handed{}, nil
		w.counts["undone"]++
	default:
		c.forget(m.dispense)
	}
}

// told demands that the clinic has the hand-over, and if it is flagged that all concerned are told.
func (w *world) told(m *sentMessage, flagged bool) {
	w.t.Helper()
	want := map[string]bool{"clinic has it": true, "patient": true}
	if flagged {
		want["clinic is told"] = true
		if m.c.holder >= 0 && m.c.holder != m.pharmacy {
			want["holder is told"] = true
		}
	}
	for _, e := range w.effectsOf(m.Seq) {
		final := bytes.Contains(e.Body, []byte(fault.CodeFlagged)) || bytes.Contains(e.Body, []byte(fault.CodeCompleted))
		switch {
		case e.Kind == ledger.EffectWake && (e.Type == "conflict" || !flagged):
			delete(want, "patient")
		case e.Org == w.clinic.ID && e.Body == nil:
			delete(want, "clinic has it")
		case e.Org == w.clinic.ID && final:
			delete(want, "clinic is told")
		case m.c.holder >= 0 && e.Org == w.orgs[m.c.holder].ID && final && e.Org != w.orgs[m.pharmacy].ID:
			delete(want, "holder is told")
		}
	}
	if len(want) > 0 {
		w.fail(m, "not told: %v, flagged %v", want, flagged)
	}
}

// effectsOf are the effects of one message.
func (w *world) effectsOf(seq uint64) (of []ledger.Effect) {
	w.t.Helper()
	for {
		page, err := w.store.Effects(context.Background(), ledger.ID{}, w.seen, 1000)
		w.must(err)
		if len(page) == 0 {
			break
		}
		w.effects = append(w.effects, page...)
		w.seen = page[len(page)-1].Number
	}
	i, _ := slices.BinarySearchFunc(w.effects, seq, func(e ledger.Effect, s uint64) int {
		if e.Seq < s {
			return -1
		}
		return 1
	})
	for ; i < len(w.effects) && w.effects[i].Seq == seq; i++ {
		of = append(of, w.effects[i])
	}
	return of
}

// live lets prescriptions be written and filled until all of them had their share of messages.
func (w *world) live(prescriptions int) {
	began := time.Now()
	for i := range prescriptions {
		c := &course{identifier: fmt.Sprint("R-", i), patient: fmt.Sprint("M-", i/3), allowed: 1 + w.random.IntN(3), sent: map[int]bool{}, declined: map[int]bool{},
			home: w.random.IntN(len(w.orgs)), holder: -1, open: map[int]string{}, serves: map[string]uint64{}, versions: map[string]int{}}
		c.routed = c.home
		c.body = of(c.patient, with(order(c.identifier, w.npi(c.home+1), "Amoxicillin"), `"dispenseRequest":{`,
			fmt.Sprintf(`"dispenseRequest":{"numberOfRepeatsAllowed":%d,"quantity":{"value":10,%s},`, c.allowed-1, tablet)))
		w.all = append(w.all, c)
	}
	last := time.Now().AddDate(0, -1, 0)
	for left := 20 * prescriptions; left > 0; {
		var batch []*sentMessage
		for range 1 + w.random.IntN(40) {
			left--
			m := w.act(w.all[w.random.IntN(len(w.all))])
			if m == nil {
				continue
			}
			w.past = append(w.past, m)
			switch w.random.IntN(12) {
			case 0: // lost
			case 1, 2: // overtaken by others
				w.late = append(w.late, m)
			default:
				batch = append(batch, m)
			}
		}
		if len(w.past) > 0 && w.random.IntN(2) == 0 {
			batch = append(batch, w.past[w.random.IntN(len(w.past))]) // again, or at last
		}
		for len(w.late) > 0 && w.random.IntN(3) > 0 {
			i := w.random.IntN(len(w.late))
			batch = append(batch, w.late[i])
			w.late = slices.Delete(w.late, i, i+1)
		}
		batch = append(batch, w.due()...)
		w.random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		w.feed(unique(batch)...)
		switch jump := time.Duration(w.random.IntN(72)) * time.Hour; {
		case w.now.Add(jump).After(last):
		case w.random.IntN(3) == 0:
			w.now = w.now.Add(jump)
		}
	}
	w.finish(time.Since(began))
}

// unique keeps each message once in a batch, so that the model need not know which came first.
func unique(ms []*sentMessage) (once []*sentMessage) {
	for _, m := range ms {
		if !slices.Contains(once, m) {
			once = append(once, m)
		}
	}
	return once
}

// act is something that somebody does with a prescription; nil if there is nothing to be done.
func (w *world) act(c *course) *sentMessage {
	make := func(kind string, org ledger.Organization, body []byte) *sentMessage {
		w.counts["made"]++
		m := w.message(kind, message(org, fmt.Sprint(kind, w.counts["made"]), body), org.ID)
		m.c = c
		return m
	}
	p := w.random.IntN(len(w.orgs))
	if w.random.IntN(4) > 0 {
		if c.holder >= 0 && w.random.IntN(2) == 0 {
			p = c.holder
		} else if sent := sortedKeys(c.sent); len(sent) > 0 {
			p = sent[w.random.IntN(len(sent))]
		}
	}
	about := func(p int, id, kind, status string, amount int) *sentMessage {
		body := fmt.Appendf(nil, `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s","quantity":{"value":%d,%s},
 "medicationCodeableConcept":{"text":"x"},"authorizingPrescription":[{"identifier":{"system":"urn:rx","value":"%s"}}]}`, id, status, max(amount, 1), tablet, c.identifier)
		m := make(kind, w.orgs[p], body)
		m.pharmacy, m.dispense, m.amount = p, id, amount
		return m
	}
	pharmacy := func(kind, status string, amount int) *sentMessage {
		id, working := c.open[p]
		if !working || c.serves[id] != 0 && c.holder != p && w.random.IntN(2) == 0 {
			w.counts["dispenses"]++
			id = fmt.Sprint("D-", w.counts["dispenses"])
			c.open[p] = id
		}
		if kind == "release" || kind == "decline" || kind == "withdraw" || kind == "handover" && amount >= 10 {
			delete(c.open, p)
		}
		return about(p, id, kind, status, amount)
	}
	clinic := func(kind string, order, body []byte) *sentMessage {
		m := make(kind, w.clinic, body)
		m.order = order
		return m
	}
	switch n := w.random.IntN(26); {
	case !c.issued && n < 20:
		return clinic("issue", c.body, c.body)
	case n < 6:
		return pharmacy("claim", "preparation", 0)
	case n < 9:
		return pharmacy("ready", "in-progress", 0)
	case n < 13:
		return pharmacy("handover", "completed", []int{10, 10, 10, 4, 4, 6, 15}[w.random.IntN(7)])
	case n < 15:
		return pharmacy("release", "cancelled", 0)
	case n < 16:
		return pharmacy("query", "on-hold", 0)
	case n < 17 && w.random.IntN(2) == 0:
		return pharmacy("decline", "declined", 0)
	case n < 18 && c.last.dispense != "":
		return about(c.last.pharmacy, c.last.dispense, "withdraw", "entered-in-error", 0)
	case n < 18 && w.random.IntN(2) == 0:
		return pharmacy("withdraw", "entered-in-error", 0)
	case n < 19 && w.random.IntN(4) == 0:
		return clinic("cancel", c.body, withStatus(c.body, "cancelled"))
	case n < 20 && w.random.IntN(2) == 0:
		return clinic("hold", c.body, withStatus(c.body, "on-hold"))
	case n < 21 && c.id != "":
		row, err := w.store.Prescription(context.Background(), uuid.MustParse(c.id))
		w.must(err)
		w.counts["drugs"]++
		changed := of(c.patient, bytes.Replace(c.body, drug.Find(c.body), fmt.Appendf(nil, `"text":"drug %d"`, w.counts["drugs"]), 1))
		m := clinic("amend", changed, changed)
		m.Header = map[string][]string{}
		m.Header.Set(streams.HeaderMatch, fmt.Sprint(row.Version))
		m.Header.Set(streams.HeaderID, c.id)
		return m
	case n < 23:
		return clinic("issue", c.body, c.body) // once more under another id
	case c.id != "":
		who, known := w.patient(w.clinic, c.patient)
		if !known {
			return nil
		}
		body, err := json.Marshal(recorder.NominationFact{Patient: who.Patient.String(), Pharmacy: w.orgs[p].ID.String(), Prescription: c.id})
		w.must(err)
		w.counts["made"]++
		m := w.message("nominate", streams.Message{ID: fmt.Sprint("hub.n", w.counts["made"]), Subject: streams.FactSubject(recorder.FactNomination), Body: body}, ledger.ID{})
		m.c, m.pharmacy = c, p
		return m
	}
	return nil
}

// drug is the medicine of an order as order writes it.
var drug = regexp.MustCompile(`"text":"(Amoxicillin|drug [0-9]+)"`)

func sortedKeys(m map[int]bool) (keys []int) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// due is what the recorder's clock would say; sometimes it is late.
func (w *world) due() (facts []*sentMessage) {
	if w.random.IntN(2) == 0 {
		return nil
	}
	due, err := w.store.Due(context.Background(), w.now.UnixMilli(), 1000)
	w.must(err)
	place := func(id ledger.ID) int { // ids are by chance, and not by the seed's
		return slices.IndexFunc(w.all, func(c *course) bool { return c.id == id.String() })
	}
	slices.SortFunc(due, func(a, b ledger.Prescription) int { return place(a.ID) - place(b.ID) })
	for _, p := range due {
		body, err := json.Marshal(recorder.DueFact{Prescription: p.ID.String()})
		w.must(err)
		facts = append(facts, w.message("due", streams.Message{ID: fmt.Sprintf("hub.due.%s.%d", p.ID, p.DueAt), Subject: streams.FactSubject(recorder.FactDue), Body: body}, ledger.ID{}))
	}
	return facts
}

// finish compares the ends: the model's with the rows, the rows with the ledger, the ledger with itself.
func (w *world) finish(took time.Duration) {
	for _, c := range w.all {
		if c.id == "" {
			continue
		}
		row, err := w.store.Prescription(context.Background(), mustID(w.t.(*testing.T), c.id))
		w.must(err)
		c.advance(w.lastTime)
		switch {
		case row.FillsDone != c.done:
			w.t.Errorf("seed %d, %s: %d fills, the model has %d", w.seed, c.identifier, row.FillsDone, c.done)
		case c.holder >= 0 && row.Holder != w.orgs[c.holder].ID:
			w.t.Errorf("seed %d, %s: another holder", w.seed, c.identifier)
		case c.cancelled && c.holder < 0 && row.Status != "cancelled" && row.Holder == (ledger.ID{}) && c.done < c.allowed:
			w.t.Errorf("seed %d, %s: %s, the model says cancelled", w.seed, c.identifier, row.Status)
		}
	}
	head := w.verify()
	w.t.Logf("seed %d: %d entries, %d messages on the stream, %.0f/s; %v", w.seed, head.Size, w.seq, float64(w.seq)/took.Seconds(), w.counts)
	for _, kind := range []string{"issue", "cancel", "won claims", "lost claims", "recorded hand-overs", "flagged", "repeats", "release", "nominate", "due", "crashes",
		"amended", "hold", "declined", "withdrawn", "parts", "query"} {
		if w.counts[kind] == 0 {
			w.t.Errorf("seed %d: no %s at all", w.seed, kind)
		}
	}
	if len(w.all) >= 500 && w.counts["undone"] == 0 {
		w.t.Errorf("seed %d: no hand-over was undone", w.seed)
	}
	if n, err := w.store.Quarantine(context.Background(), ledger.Place{}, 10000); err == nil {
		for _, q := range n {
			if q.Code == string(fault.CodePoison) {
				w.t.Errorf("seed %d: a message was isolated at %d", w.seed, q.Seq)
			}
		}
	}
}
