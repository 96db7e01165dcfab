package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
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
	t.Run("postgres", func(t *testing.T) {
		newWorld(t, seed, min(pharmacies, 10), (*hub).onPostgres).live(min(prescriptions, 100))
	})
}

// course is what the model believes about one prescription: the words of PROTOCOL §4 and no more.
type course struct {
	identifier, id string
	body           []byte
	patient        string // mrn
	allowed        int    // fills, N + 1
	issued         bool
	sent           map[int]bool
	routed         int // pharmacy, -1 = unknown to the model
	holder         int // -1 = nobody
	claim          uint64
	lease          time.Time
	pending        bool
	cancelled      bool
	done           int // hand-overs, flagged ones too
	unflagged      int
	amount         int
	open           map[int]string  // pharmacy → its dispense in work
	spent          map[string]bool // dispenses that served a claim: each serves one only
	ready          map[string]bool // dispenses that were said to be ready
}

func (c *course) String() string {
	return fmt.Sprintf("allowed %d, done %d, holder %d, claim %d until %v, routed %d, sent %v, pending %v, cancelled %v",
		c.allowed, c.done, c.holder, c.claim, c.lease, c.routed, sortedKeys(c.sent), c.pending, c.cancelled)
}

// advance is what time alone does.
func (c *course) advance(now time.Time) {
	if c.holder >= 0 && !now.Before(c.lease) {
		c.free()
		c.routed = -1
	}
}

func (c *course) free() {
	c.holder = -1
	if c.pending {
		c.pending, c.cancelled = false, c.done < c.allowed
	}
}

func (c *course) over() bool { return c.cancelled || c.done >= c.allowed }

// sentMessage is a message with what the model needs to judge its answer.
type sentMessage struct {
	streams.Message
	kind     string // issue, cancel, claim, ready, handover, release, nominate, fact
	c        *course
	pharmacy int
	dispense string
	amount   int
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
	w := &world{hub: h, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), now: time.Now().AddDate(-1, 0, 0).Truncate(time.Millisecond), counts: map[string]int{}}
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
	w.t.Fatalf("seed %d, message %d (%s of pharmacy %d, prescription %s): %s\nmodel: %v", w.seed, m.Seq, m.kind, m.pharmacy, m.c.identifier, fmt.Sprintf(format, args...), m.c)
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
	switch m.kind {
	case "issue":
		switch {
		case !granted && !((c.cancelled || c.pending) && a.Status == 409) && !c.over():
			w.fail(m, "an order is refused: %+v", a)
		case c.issued || !granted:
			return
		}
		c.issued, c.id = true, res.Rx
		if !c.cancelled {
			c.sent[c.routed] = true
		}
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
			c.cancelled = true
		}
	case "claim", "ready":
		w.judgeClaim(m, a, res, recorded, granted, now)
	case "handover":
		w.judgeHandOver(m, a, res, recorded, granted)
	case "release":
		switch {
		case c.holder == p && c.sent[p]:
			if granted && res.State != "ready" && res.State != "cancelled" {
				w.fail(m, "released: %+v", a)
			}
			if granted {
				c.free()
			}
		case granted && a.Resources[0].Version == 0:
			w.fail(m, "a release of what it does not hold: %+v", a)
		}
	case "nominate":
		if granted && c.issued && c.holder < 0 && !c.over() && res.Rx == c.id {
			c.sent[p], c.routed = true, p
		}
	}
}

func (w *world) judgeClaim(m *sentMessage, a streams.Answer, res streams.Resource, recorded, granted bool, now time.Time) {
	w.t.Helper()
	c, p := m.c, m.pharmacy
	free := c.issued && c.holder < 0 && !c.over()
	switch {
	case !c.sent[p]:
		if recorded {
			w.fail(m, "a claim of who was never sent it is recorded: %+v", a)
		}
		return
	case !granted:
		if !recorded || a.Status != 409 {
			w.fail(m, "a losing claim: %+v", a)
		}
		if free && c.routed == p && !c.spent[m.dispense] {
			w.fail(m, "nobody holds it and it is routed here: %+v", a)
		}
		w.counts["lost claims"]++
		return
	case c.holder >= 0 && c.holder != p:
		w.fail(m, "two holders: %+v", a)
	case c.holder < 0 && c.spent[m.dispense]:
		if res.Holding {
			w.fail(m, "a dispense serves a second claim: %+v", a)
		}
		return // overtaken: it changes nothing
	case c.holder < 0 && !free:
		w.fail(m, "a claim of what has come to its end: %+v", a)
	}
	lease := now.Add(72 * time.Hour)
	if m.kind == "ready" {
		lease = now.Add(14 * 24 * time.Hour)
	}
	if c.holder < 0 {
		if res.Claim <= c.claim {
			w.fail(m, "claim %d after %d", res.Claim, c.claim)
		}
		c.holder, c.claim, c.lease = p, res.Claim, lease
		w.counts["won claims"]++
	} else if m.kind == "ready" && !c.ready[m.dispense] && lease.After(c.lease) && !c.pending {
		c.lease = lease
	}
	c.spent[m.dispense] = true
	c.ready[m.dispense] = c.ready[m.dispense] || m.kind == "ready"
}

func (w *world) judgeHandOver(m *sentMessage, a streams.Answer, res streams.Resource, recorded, granted bool) {
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
	w.counts["recorded hand-overs"]++
	conflict := c.holder >= 0 && c.holder != p || c.done >= c.allowed || c.cancelled || c.pending || m.amount > 10
	flagged := res.Code == string(fault.CodeFlagged)
	if conflict && !flagged {
		w.fail(m, "a conflict is not flagged: %+v", a)
	}
	w.told(m, flagged)
	c.done++
	if c.claim < res.Claim {
		c.claim = res.Claim
	}
	if flagged {
		w.counts["flagged"]++
	} else {
		c.unflagged++
		c.amount += m.amount
		if c.unflagged > c.allowed || c.amount > 10*c.allowed {
			w.fail(m, "%d fills of %d, %d of %d tablets without a flag", c.unflagged, c.allowed, c.amount, 10*c.allowed)
		}
	}
	if c.holder == p || c.holder < 0 || c.done >= c.allowed {
		c.free()
	}
	c.spent[m.dispense] = true
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
		c := &course{identifier: fmt.Sprint("R-", i), patient: fmt.Sprint("M-", i/3), allowed: 1 + w.random.IntN(3), sent: map[int]bool{},
			routed: w.random.IntN(len(w.orgs)), holder: -1, open: map[int]string{}, spent: map[string]bool{}, ready: map[string]bool{}}
		c.body = of(c.patient, with(order(c.identifier, w.npi(c.routed+1), "Amoxicillin"), `"dispenseRequest":{`,
			fmt.Sprintf(`"dispenseRequest":{"numberOfRepeatsAllowed":%d,"quantity":{"value":10,%s},`, c.allowed-1, tablet)))
		w.all = append(w.all, c)
	}
	last := time.Now().Add(-time.Hour)
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
	pharmacy := func(kind, status string, amount int) *sentMessage {
		id, working := c.open[p]
		if !working {
			w.counts["dispenses"]++
			id = fmt.Sprint("D-", w.counts["dispenses"])
			c.open[p] = id
		}
		if kind == "handover" || kind == "release" {
			delete(c.open, p)
		}
		body := fmt.Appendf(nil, `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s","quantity":{"value":%d,%s},
 "medicationCodeableConcept":{"text":"x"},"authorizingPrescription":[{"identifier":{"system":"urn:rx","value":"%s"}}]}`, id, status, max(amount, 1), tablet, c.identifier)
		m := make(kind, w.orgs[p], body)
		m.pharmacy, m.dispense, m.amount = p, id, amount
		return m
	}
	switch n := w.random.IntN(20); {
	case !c.issued && n < 15:
		return make("issue", w.clinic, c.body)
	case n < 6:
		return pharmacy("claim", "preparation", 0)
	case n < 9:
		return pharmacy("ready", "in-progress", 0)
	case n < 13:
		return pharmacy("handover", "completed", []int{10, 10, 10, 15}[w.random.IntN(4)])
	case n < 15:
		return pharmacy("release", "cancelled", 0)
	case n < 16 && w.random.IntN(4) == 0:
		return make("cancel", w.clinic, withStatus(c.body, "cancelled"))
	case n < 17:
		return make("issue", w.clinic, c.body) // once more under another id
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
	due, err := w.store.Due(context.Background(), w.now.UnixMilli(), 256)
	w.must(err)
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
	for _, kind := range []string{"issue", "cancel", "won claims", "lost claims", "recorded hand-overs", "flagged", "repeats", "release", "nominate", "due", "crashes"} {
		if w.counts[kind] == 0 {
			w.t.Errorf("seed %d: no %s at all", w.seed, kind)
		}
	}
	if n, err := w.store.Quarantine(context.Background(), ledger.Place{}, 10000); err == nil {
		for _, q := range n {
			if q.Code == string(fault.CodePoison) {
				w.t.Errorf("seed %d: a message was isolated at %d", w.seed, q.Seq)
			}
		}
	}
}
