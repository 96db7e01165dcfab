package recorder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// handle brings arrivals into the ledger whatever is in them. A batch that fails on its data is
// halved until one message stands alone; that one is quarantined and the line goes on. A database
// that cannot be reached is waited for.
func (r *Recorder) handle(ctx context.Context, arrivals []arrival) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := r.attempt(ctx, arrivals)
		switch fault.KindOf(err) {
		case fault.Unavailable:
			if done, err := r.recheck(ctx, wait); done || err != nil {
				return err
			}
			continue
		case fault.Conflict, fault.Tampered:
			if err != nil && !errors.Is(err, ledger.ErrDamaged) {
				return err
			}
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return err
		case r.usual.wrong():
			// now by what is there: a repeat, say, need not be decidable any more
		case len(arrivals) > 1:
			half := len(arrivals) / 2
			if err := r.handle(ctx, arrivals[:half]); err != nil {
				return err
			}
			arrivals = arrivals[half:]
		default:
			if broken := r.ends(ctx, r.head); broken != nil {
				return broken // it is not the message
			}
			if err := r.sealable(ctx); err != nil {
				return err // nor is it here
			}
			u := &unit{message: arrivals[0].message}
			r.log.ErrorContext(ctx, "message quarantined", "epoch", u.epoch(r.head.Epoch), "seq", u.message.Seq, "sub", u.place(), "kind", fault.KindOf(err).String(), "error", err)
			return r.isolate(ctx, arrivals[0].message)
		}
	}
}

// recheck waits for a database that did not answer, then learns whether the commit in doubt
// happened: the head says so. done means that it did.
func (r *Recorder) recheck(ctx context.Context, wait time.Duration) (done bool, err error) {
	if err := pause(ctx, wait); err != nil {
		return false, err
	}
	head, now, err := r.deps.Store.Acquire(ctx, r.head.Term)
	switch {
	case fault.KindOf(err) == fault.Unavailable && !errors.Is(err, ledger.ErrLeased):
		return false, nil // still away
	case err != nil:
		return false, err
	case head == r.intended && head != r.head:
		// ours, committed before the connection broke: the deliveries come from the database
		r.head = head
		r.leased(now)
		r.announcer.committed(nil, head)
		return true, r.relearn(ctx)
	case head != r.head:
		return false, ledger.ErrHeadMoved
	}
	r.leased(now)
	return false, nil
}

// attempt decides and commits arrivals as one batch. A panic is an error of this batch.
func (r *Recorder) attempt(ctx context.Context, arrivals []arrival) (err error) {
	defer forget(arrivals)
	kept := r.kept.clone()
	defer func() {
		if err != nil {
			r.kept = kept // what is decided again is counted then
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, fmt.Sprintf("recorder: panic of type %T", p)) // its text may hold patient data
		}
	}()
	began := time.Now()
	r.intended = ledger.Head{}
	end := r.trace(ctx, arrivals)
	defer func() { end(err) }()

	limit := began.UnixMilli() + r.ahead.Load() + 5000
	for _, a := range arrivals {
		if a.message.Time.UnixMilli() > limit {
			return ErrClock
		}
	}
	units, err := r.inTurn(ctx, arrivals)
	if err != nil {
		return err
	}
	v, err := r.load(ctx, units)
	if err != nil {
		return err
	}
	d := &decider{keys: r.deps.Keys, directory: r.deps.Directory, policy: r.config.Policy, newID: newID, view: v, names: make(map[ledger.Key]*unit, len(units)),
		orgs: map[ledger.ID]ledger.Organization{}, tries: maps.Clone(r.tries), scales: scales{classes: r.config.Map, fault: r.config.Fault}, said: &r.said}
	at := r.head.Time
	for _, u := range units {
		at = max(at, u.message.Time.UnixMilli())
		if err := d.decide(u, time.UnixMilli(at)); err != nil {
			return err
		}
	}
	if err := r.seal(ctx, units); err != nil {
		return err
	}
	b, err := r.bind(ctx, units, v)
	if err != nil {
		return err
	}
	if err := r.prove(ctx, v, b); err != nil {
		return err
	}
	if err := r.commit(ctx, b, units); err != nil {
		return err
	}
	r.tries = d.tries
	r.metrics.batch(ctx, units, time.Since(began))
	return nil
}

// trace continues the trace of every message that carries one, for the time of the batch.
func (r *Recorder) trace(ctx context.Context, arrivals []arrival) func(error) {
	var spans []trace.Span
	for _, a := range arrivals {
		if a.message.Header.Get(streams.HeaderTraceParent) == "" {
			continue
		}
		_, span := r.config.Tracer.Start(streams.Extract(ctx, a.message.Header), "record",
			trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.Int64("seq", int64(a.message.Seq))))
		spans = append(spans, span)
	}
	return func(err error) {
		for _, s := range spans {
			if err != nil {
				s.SetAttributes(attribute.String("fault", fault.KindOf(err).String()))
			}
			s.End()
		}
	}
}

// patients finds or makes the patient of every message that names one of its sender's.
func (r *Recorder) patients(ctx context.Context, units []*unit) error {
	var refs []ledger.PatientRef
	var of []*unit
	for _, u := range units {
		if u.refused() || u.denied() != nil || u.kind != "" || !u.needsPatient() {
			continue
		}
		keys := patientKeys(r.deps.Keys, u.sender.ID, u.read.Subject)
		if len(keys) == 0 {
			u.refuse(fault.Of(fault.CodeNoPatient).At(u.doc.Type() + ".subject"))
			continue
		}
		refs, of = append(refs, ledger.PatientRef{Org: u.sender.ID, Index: keys}), append(of, u)
	}
	refs, of, err := r.withoutErased(ctx, refs, of)
	if err != nil || len(refs) == 0 {
		return err
	}
	found, err := r.deps.Keys.Patients(ctx, refs)
	if err != nil {
		return fmt.Errorf("recorder: patients: %w", fenced(err))
	}
	met := map[ledger.ID]bool{}
	for i, u := range of {
		u.patient, u.keyed = found[i], true
		u.made = found[i].Made && !met[u.patient.Patient]
		met[u.patient.Patient] = true
		if r.deps.Keys.Ambiguous(refs[i]) {
			u.issues = append(u.issues, fhir.Issue{Severity: "warning", Code: "informational", ID: string(fault.CodeAmbiguous),
				Text: title(fault.CodeAmbiguous), Expression: u.doc.Type()})
		}
	}
	return nil
}

// needsPatient is true for a clinic's message and for a dispense that cites no prescription: those
// belong to the sender's own patient. A dispense that cites one belongs to that one's patient.
func (u *unit) needsPatient() bool {
	if u.sender.Kind == "clinic" {
		return true
	}
	if u.shown {
		return false // the code says whose
	}
	for _, md := range u.read.Dispenses {
		if len(md.Cites) == 0 {
			return true
		}
	}
	return false
}
