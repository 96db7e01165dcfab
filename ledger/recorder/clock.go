package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// The passing of time enters through the stream like everything else (DESIGN §2, law 2): while a recorder
// leads, its clock looks for prescriptions that time changes and says so as facts, which are then decided
// in their order. What it says twice is decided once, because a fact's id names what it is about.

// DueFact says that a prescription's DueAt has come. It is JSON on rx.fact.due.
type DueFact struct {
	Prescription string `json:"prescription"`
}

// SilentFact says that a pharmacy has not fetched a prescription in time. It is JSON on rx.fact.silent.
type SilentFact struct {
	Prescription string `json:"prescription"`
	Pharmacy     string `json:"pharmacy"`
}

const (
	dueEvery    = time.Second
	silentEvery = 15 * time.Second
	dueAtOnce   = 256 // prescriptions in one look
)

// clock says what time brings.
type clock struct {
	r       *Recorder
	publish *streams.Publisher
	silence time.Time // last look for pharmacies that do not fetch
}

// run looks every second until ctx ends. A database or a broker that is away is waited for.
func (c *clock) run(ctx context.Context) {
	tick := time.NewTicker(dueEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.r.log.WarnContext(ctx, "what is due is not said yet", "kind", fault.KindOf(err).String())
		}
	}
}

func (c *clock) look(ctx context.Context) error {
	head, err := c.r.deps.Reader.Head(ctx)
	if err != nil {
		return fmt.Errorf("recorder: head: %w", err)
	}
	now := max(time.Now().UnixMilli()+c.r.ahead.Load(), head.Time) // stream time is never before the ledger's
	due, err := c.r.deps.Reader.Due(ctx, now, dueAtOnce)
	if err != nil {
		return fmt.Errorf("recorder: due: %w", err)
	}
	facts := make([]streams.Message, 0, len(due))
	for _, p := range due {
		if c.r.intact(ctx, p) != nil {
			continue // fenced off: nothing is decided about it until it is restored
		}
		facts = append(facts, factOf(FactDue, p.ID.String()+"."+strconv.FormatInt(p.DueAt, 10), DueFact{p.ID.String()}))
	}
	if time.Since(c.silence) >= silentEvery {
		c.silence = time.Now()
		silent, err := c.silent(ctx, now)
		if err != nil {
			return err
		}
		facts = append(facts, silent...)
	}
	return c.say(ctx, facts)
}

// silent finds the prescriptions whose pharmacy has not fetched them in time, some of them when they are many.
func (c *clock) silent(ctx context.Context, now int64) (facts []streams.Message, err error) {
	for _, o := range c.r.deps.Directory.Organizations() {
		if auth.Role(o.Kind) != auth.Pharmacy {
			continue
		}
		if facts, err = c.silentAt(ctx, o.ID, now, facts); err != nil || len(facts) >= dueAtOnce {
			return facts, err
		}
	}
	return facts, nil
}

// silentAt adds those of one pharmacy.
func (c *clock) silentAt(ctx context.Context, pharmacy ledger.ID, now int64, facts []streams.Message) ([]streams.Message, error) {
	for after := uint64(0); ; {
		waiting, err := c.r.deps.Reader.Unfetched(ctx, pharmacy, after, dueAtOnce)
		if err != nil {
			return nil, fmt.Errorf("recorder: not fetched: %w", err)
		}
		for _, p := range waiting {
			if p.Time > now-rx.SilenceUrgent.Milliseconds() {
				return facts, nil // and so are those behind it, but for the messages of one commit
			}
			after = p.Number // those that were said wait on, and others behind them
			var s stored
			if json.Unmarshal(p.State, &s) != nil || s.SilentAt() == 0 || now < s.SilentAt() {
				continue // a state that cannot be read is said where it is decided
			}
			// A pharmacy may have taken this one and be slow with one before it.
			waits, err := streams.DeliveryWaits(ctx, c.r.js, s.Pharmacy, p.Record.String())
			if err != nil {
				return nil, fmt.Errorf("recorder: not fetched: %w", err)
			}
			if !waits {
				continue
			}
			facts = append(facts, factOf(FactSilent, p.ID.String()+"."+strconv.FormatInt(s.OfferedAt, 10),
				SilentFact{Prescription: p.ID.String(), Pharmacy: s.Pharmacy}))
		}
		if len(waiting) < dueAtOnce || len(facts) >= dueAtOnce {
			return facts, nil
		}
	}
}

// factOf is a fact of the hub under an id that names what it is about.
func factOf(kind, about string, fact any) streams.Message {
	body, err := json.Marshal(fact)
	if err != nil {
		panic(err) // two strings
	}
	return streams.Message{ID: hubIDs + kind + "." + about, Subject: streams.FactSubject(kind), Body: body}
}

// say publishes facts together, so that they share a message of the stream.
func (c *clock) say(ctx context.Context, facts []streams.Message) error {
	errs := make([]error, len(facts))
	var all sync.WaitGroup
	for i, m := range facts {
		all.Go(func() { errs[i] = c.publish.Publish(ctx, m) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("recorder: say what is due: %w", err)
		}
	}
	return nil
}

// parseTimely reads a fact of the clock: the prescription, and for a silent pharmacy whose.
func parseTimely(kind string, body []byte) (prescription ledger.ID, e rx.Event, err error) {
	if kind == FactDue {
		var f DueFact
		err = strictJSON(body, &f)
		prescription, e = parseID(f.Prescription), rx.Event{Kind: rx.Tick}
	} else {
		var f SilentFact
		err = strictJSON(body, &f)
		prescription, e = parseID(f.Prescription), rx.Event{Kind: rx.Silent, Pharmacy: f.Pharmacy}
	}
	if err == nil && prescription == (ledger.ID{}) {
		err = fault.Of(fault.CodeFact)
	}
	return prescription, e, err
}

// timely decides a fact of the clock.
func (t *draft) timely() error {
	id, e, err := parseTimely(t.unit.kind, t.unit.body)
	if err != nil {
		t.unit.refuse(err)
		return nil
	}
	p, err := t.take(id)
	if err != nil {
		return err
	}
	if p == nil { // erased since
		t.resources = append(t.resources, streams.Resource{Type: t.unit.kind, Status: 200})
		return nil
	}
	t.patient = p.row.Patient
	a := t.step(p, e, 0)
	t.answered(streams.Resource{Type: streams.TypeMedicationRequest, ID: id.String(), Version: p.row.Version}, p, a, "")
	return nil
}
