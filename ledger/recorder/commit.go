package recorder

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// day is how quarantine keys are dealt out.
const day = 24 * 60 * 60 * 1000

// seal encrypts every unit that leaves a row, on every core. The commitment of a record is kept for
// its entry.
func (r *Recorder) seal(ctx context.Context, units []*unit) error {
	for _, u := range units {
		key, err := r.keyFor(ctx, u)
		if err != nil {
			return fmt.Errorf("recorder: key: %w", fenced(err))
		}
		u.patient = key
		u.brief = u.result.fate == refused && !r.kept.take(u.sender.ID, u.message.Time.UnixMilli()/day, len(u.body))
	}
	if err := spread(len(units), 16, func(i int) error { return sealUnit(units[i], r.head.Epoch) }); err != nil {
		return fmt.Errorf("recorder: seal: %w", err)
	}
	return nil
}

func sealUnit(u *unit, epoch uint64) error {
	rec, body := &u.result.record, u.body
	if u.result.statement != "" {
		return nil
	}
	switch u.result.fate {
	case recorded:
	case refused:
		u.result.quarantined = ledger.Quarantined{Epoch: u.epoch(epoch), Seq: u.message.Seq, Sub: u.place(), Org: u.sender.ID,
			Code: u.result.answer.Code, Time: u.message.Time.UnixMilli()}
		if u.brief {
			body = digest(u.body)
		}
		return ledger.SealQuarantined(u.patient, &u.result.quarantined, body)
	default:
		return nil
	}
	if u.result.instead != nil {
		body = u.result.instead
	}
	rec.KeyID = u.patient.KeyID
	if err := u.sealEffects(); err != nil {
		return err
	}
	commitment, err := ledger.SealWith(u.patient, rec, body, u.evidenceOf())
	u.result.commitment = commitment
	if u.result.erasure != nil && err == nil {
		rec.State(u.result.emptied)
	}
	return err
}

// keyFor is the key of the record's patient; the hub's own for facts about organisations; the day's
// quarantine key for refusals.
func (r *Recorder) keyFor(ctx context.Context, u *unit) (ledger.PatientKey, error) {
	switch {
	case u.result.fate == refused, u.result.passing:
		return r.deps.Keys.Quarantine(ctx, u.message.Time.UnixMilli()/day)
	case u.result.fate != recorded:
		return ledger.PatientKey{}, nil
	case u.result.patient == (ledger.ID{}):
		return r.deps.Keys.Hub(ctx)
	case u.keyed && u.result.patient == u.patient.Patient:
		return u.patient, nil
	}
	return r.deps.Keys.ForPatient(ctx, u.result.patient)
}

// bind links the units into the chain and gathers everything that one commit writes.
func (r *Recorder) bind(ctx context.Context, units []*unit, v *view) (*ledger.Batch, error) {
	b := newBatch(r.head, units)
	for _, u := range units {
		r.link(b, u)
	}
	for _, u := range units { // repeats look at what is decided now
		if u.result.fate == repeated {
			v.repeat(u)
		}
		r.outcome(b, u)
	}
	if err := r.states(b, v); err != nil {
		return nil, fmt.Errorf("recorder: state: %w", err)
	}
	for key := range v.dispenses {
		b.Dispenses = append(b.Dispenses, v.Dispenses[key])
	}
	for patient, pharmacy := range v.nominations {
		b.Nominations = append(b.Nominations, ledger.Nomination{Patient: patient, Pharmacy: pharmacy})
	}
	b.Fills, b.Delivered = v.fills, v.delivered
	b.Organizations, b.Clients = v.organizations, v.clients
	b.Holds, b.Released, b.Requests = v.holds, v.released, v.requests
	b.Links = v.links
	if len(b.Links) > 0 {
		r.joined.Store(true)
	}
	if b.Erasure != nil {
		b.Erasure.Job = erasureJob(&v.keeping, b.Erasure, b.From.Epoch, b.To.Deliveries)
	}
	b.To.Seq = cursor(b.From.Seq, units)
	if err := r.linkAccesses(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

// newBatch has room for the rows of units.
func newBatch(from ledger.Head, units []*unit) *ledger.Batch {
	effects := len(units) // answers
	for _, u := range units {
		effects += len(u.result.effects)
	}
	return &ledger.Batch{From: from, To: from, Entries: make([]ledger.Entry, 0, len(units)), Records: make([]ledger.Record, 0, len(units)),
		Messages: make([]ledger.Message, 0, len(units)), Effects: make([]ledger.Effect, 0, effects)}
}

// states writes the rows of the prescriptions that changed, and of those that began.
func (r *Recorder) states(b *ledger.Batch, v *view) error {
	var changed, begun []ledger.ID
	for _, id := range v.dirty {
		if _, loaded := v.Prescriptions[id]; loaded {
			changed = append(changed, id)
		} else {
			begun = append(begun, id)
		}
	}
	write := func(ids []ledger.ID) ([]ledger.Prescription, error) {
		rows := make([]ledger.Prescription, len(ids))
		return rows, spread(len(ids), 32, func(i int) (err error) {
			rows[i], err = v.states[ids[i]].write()
			mark(r.deps.Keys, &rows[i])
			return err
		})
	}
	var err error
	if b.Prescriptions, err = write(changed); err != nil {
		return err
	}
	b.Begun, err = write(begun)
	return err
}

// cursor is the last intake sequence that is decided whole. In the middle of a parcel it stays before
// it: after a crash all of it is read again, and what was decided repeats its decision.
func cursor(from uint64, units []*unit) uint64 {
	for _, u := range slices.Backward(units) {
		switch m := u.message; {
		case m.Direct:
		case m.Ends():
			return m.Seq
		default:
			return m.Seq - 1
		}
	}
	return from
}

// link writes the rows of one unit.
func (r *Recorder) link(b *ledger.Batch, u *unit) {
	res := &u.result
	res.index = ledger.NoIndex
	switch res.fate {
	case recorded:
		if res.statement != "" {
			linkStatement(b, u, u.message.Time)
			return
		}
		rec := &res.record
		rec.Epoch = u.epoch(b.From.Epoch)
		var e ledger.Entry
		kind := ledger.KindRecord
		if res.erasure != nil {
			kind, b.Erasure = ledger.KindErasure, res.erasure
			b.Erasure.Index = b.To.Size
		}
		e, b.To = ledger.Link(b.To, kind, u.message.Time, rec.Digest(), res.commitment)
		rec.Index, res.index = e.Index, e.Index
		leaf := b.To.Leaf
		res.answer.Index, res.answer.Leaf = &rec.Index, hex.EncodeToString(leaf[:])
		b.Entries = append(b.Entries, e)
		b.Records = append(b.Records, *rec)
		answer, _ := json.Marshal(res.answer) // strings and numbers only: cannot fail
		b.Messages = append(b.Messages, ledger.Message{Key: u.name, Body: u.print, Record: rec.ID, Answer: answer, Seq: u.message.Seq})
	case refused:
		b.Quarantined = append(b.Quarantined, res.quarantined)
	case repeated, reused, existing:
		if u.sub == 0 {
			b.Replays = append(b.Replays, ledger.Replay{Epoch: u.epoch(b.From.Epoch), Seq: u.message.Seq, Sub: u.place(), Key: u.name})
		}
	}
}

// outcome numbers the effects of one unit. A sender who does not wait for a reply gets the answer as
// a delivery: the outcome message means committed.
func (r *Recorder) outcome(b *ledger.Batch, u *unit) {
	first := len(b.Effects)
	b.Effects = append(b.Effects, u.result.effects...)
	if u.reply == "" && u.sender.Kind != "" {
		about := only(u.result.answer.Resources)
		b.Effects = append(b.Effects, ledger.Effect{Kind: ledger.EffectDeliver, Org: u.sender.ID, Type: "OperationOutcome",
			Body: fhir.OutcomeFrom(u.result.answer.Issues), Prescription: parseID(about.Rx), Claim: about.Claim, State: about.State})
	}
	for i := range b.Effects[first:] {
		e := &b.Effects[first+i]
		b.To.Deliveries++
		e.Number, e.Seq, e.Index, e.Time = b.To.Deliveries, u.cause(), u.result.index, max(u.message.Time.UnixMilli(), b.From.Time)
	}
}

// only is what an answer concerns if it is exactly one.
func only(resources []streams.Resource) streams.Resource {
	if len(resources) != 1 {
		return streams.Resource{}
	}
	return resources[0]
}

// repeat builds the answer to a message decided before: the first decision, and the present state so
// that an old yes cannot mislead.
func (v *view) repeat(u *unit) {
	var a streams.Answer
	switch {
	case u.result.first != nil:
		a = u.result.first.result.answer
	case json.Unmarshal(u.result.stored.Answer, &a) != nil:
		a = streams.Answer{Status: fault.Internal.Row().Status, Code: string(fault.CodeInternal)}
	}
	a.Replayed = true
	resources := make([]streams.Resource, len(a.Resources))
	for i, res := range a.Resources {
		if p, err := v.prescription(parseID(res.Rx)); err == nil && p != nil {
			res.State, res.Claim = p.state.Status(), p.state.Claim
			res.Holding = p.state.Holder != "" && p.state.Holder == u.sender.ID.String()
		}
		resources[i] = res
	}
	a.Resources = resources
	u.result.answer = a
}

// commit makes b durable, then answers and announces.
func (r *Recorder) commit(ctx context.Context, b *ledger.Batch, units []*unit) error {
	seq := b.To.Seq
	if err := r.config.Fault("before commit", seq); err != nil {
		return err
	}
	r.intended = b.To
	r.announcer.commits()
	// A crash here leaves nothing behind: the same messages are read and decided again.
	if err := r.deps.Store.Commit(ctx, b); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			r.acquainted.forget() // it may have happened
		}
		return fmt.Errorf("recorder: commit to %d: %w", seq, err)
	}
	// A crash from here on loses no delivery: the effects are committed, and the next recorder
	// announces from the last stored position. A waiting sender asks again and gets the same answer.
	if err := r.config.Fault("after commit", seq); err != nil {
		return err
	}
	r.head = b.To
	r.usual.right()
	r.acquainted.committed(b)
	r.leased(time.Time{})
	r.deps.Directory.Apply(b.Organizations, b.Clients)
	r.reply(ctx, units)
	r.announcer.pass(units)
	r.announcer.committed(announcements(b.Effects, units), b.To)
	return nil
}

// reply sends the answers to those who wait for them. A lost reply is fetched by repeating the call.
func (r *Recorder) reply(ctx context.Context, units []*unit) {
	answers := make(map[string]streams.Answer, len(units))
	for _, u := range units {
		if u.reply == "" {
			continue
		}
		if u.of > 1 {
			answers[u.reply] = merge(answers[u.reply], u)
			continue
		}
		answers[u.reply] = u.result.answer
	}
	if len(answers) == 0 {
		return
	}
	if err := r.config.Fault("before reply", r.head.Seq); err != nil {
		return
	}
	if err := streams.Reply(r.deps.NATS, r.deps.Callers, answers); err != nil {
		r.log.WarnContext(ctx, "replies not sent", "count", len(answers))
	}
	_ = r.config.Fault("after reply", r.head.Seq) // only a kill can matter here
}

// merge adds one entry's answer to the answer of its batch Bundle: one resource for each entry, which says
// how many of the issues are its own.
func merge(whole streams.Answer, u *unit) streams.Answer {
	a := u.result.answer
	if len(a.Resources) == 0 {
		a.Resources = []streams.Resource{{Status: a.Status, Code: a.Code}}
	}
	var issues []json.RawMessage
	_ = json.Unmarshal(a.Issues, &issues) // our own, or none
	a.Resources = slices.Clone(a.Resources)
	a.Resources[0].Issues = len(issues)
	if whole.Status == 0 {
		whole.Status = 200
		whole.Replayed = true
	}
	whole.Replayed = whole.Replayed && a.Replayed
	whole.Resources = append(whole.Resources, a.Resources...)
	whole.Issues = joinArrays(whole.Issues, a.Issues)
	if a.Index != nil {
		whole.Index, whole.Leaf, whole.Record = a.Index, a.Leaf, a.Record
	}
	return whole
}

// joinArrays concatenates two JSON arrays.
func joinArrays(a, b json.RawMessage) json.RawMessage {
	if len(a) <= 2 {
		return b
	}
	if len(b) <= 2 {
		return a
	}
	joined := make(json.RawMessage, 0, len(a)+len(b))
	joined = append(joined, a[:len(a)-1]...)
	joined = append(joined, ',')
	return append(joined, b[1:]...)
}

// isolate quarantines one message that could not be recorded, and answers it.
func (r *Recorder) isolate(ctx context.Context, m *streams.Message) error {
	u := &unit{message: m, of: 1, body: m.Body, reply: replyTo(m)}
	u.guard(func() { r.identify(u) })
	u.doc, u.issues = nil, nil
	u.refuse(fault.Of(fault.CodePoison))
	u.result = result{fate: refused, answer: refusal(u)}
	units := []*unit{u}
	if err := r.seal(ctx, units); err != nil {
		return err
	}
	b, err := r.bind(ctx, units, newView(ledger.Have{}, 1))
	if err != nil {
		return err
	}
	r.metrics.quarantined(ctx)
	return r.commit(ctx, b, units)
}
