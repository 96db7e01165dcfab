package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// ErasureJob is what an erasure leaves to be done outside the records database. Every step may be done
// again; it is done at every start until all of it is.
type ErasureJob struct {
	Patient    ledger.ID
	Keys       []ledger.ID // to be deleted
	Subjects   []ledger.ID // last tokens of delivery subjects
	Devices    []ledger.ID // last tokens of push subjects
	Seqs       []uint64    // messages of RX_INTAKE
	Deliveries uint64      // effects numbered then: streams are purged once all of them are announced
}

// erasureJob gathers what an erasure leaves to be done.
func erasureJob(k *keeping, e *ledger.Erasure, epoch, deliveries uint64) []byte {
	j := ErasureJob{Patient: e.Patient, Keys: e.Keys, Devices: k.plan.Devices, Deliveries: deliveries}
	seqs := map[uint64]bool{}
	seq := func(of, n uint64) {
		if of == epoch && n > 0 && !seqs[n] {
			seqs[n] = true
			j.Seqs = append(j.Seqs, n)
		}
	}
	for _, r := range k.plan.Records {
		j.Subjects = append(j.Subjects, r.ID)
		seq(r.Epoch, r.Seq)
	}
	for _, p := range slices.Concat(k.plan.Copies, e.Quarantined) {
		seq(p.Epoch, p.Seq)
	}
	j.Subjects = append(j.Subjects, e.Resources...)
	job, _ := json.Marshal(j) // ids and numbers: cannot fail
	return job
}

// shred deletes the keys of erased patients before anything more is recorded: the next message about
// the same person must not be sealed under a key that is to go. A key database that cannot be reached
// is waited for. A crash before it has succeeded repeats it at the next start.
func (r *Recorder) shred(ctx context.Context) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := r.shredKeys(ctx)
		if fault.KindOf(err) != fault.Unavailable || err == nil {
			return err
		}
		r.log.WarnContext(ctx, "keys of an erased patient are not deleted yet", "kind", fault.KindOf(err).String())
		if err := pause(ctx, wait); err != nil {
			return err
		}
		if err := r.renew(ctx); err != nil && fault.KindOf(err) != fault.Unavailable {
			return err
		}
	}
}

func (r *Recorder) shredKeys(ctx context.Context) error {
	jobs, err := r.deps.Store.Erasures(ctx)
	if err != nil {
		return fmt.Errorf("recorder: erasures: %w", err)
	}
	for _, e := range jobs {
		job, err := readJob(e)
		if err != nil {
			return err
		}
		if err := r.config.Fault("before shred", e.Index); err != nil {
			return err
		}
		if _, err := r.deps.Keys.Shred(ctx, job.Keys); err != nil {
			return fmt.Errorf("recorder: delete keys: %w", err)
		}
		r.deps.Keys.Forget(job.Patient)
		// Whoever does not hear this can open nothing: the ciphertext is gone too.
		if err := r.deps.NATS.Publish(streams.ForgetSubject, job.Patient[:]); err != nil {
			return fault.Of(fault.CodeUnavailable).Wrap(err)
		}
	}
	erased, err := r.deps.Store.ErasedKeys(ctx, ledger.ID{}, 1)
	if err != nil {
		return fmt.Errorf("recorder: erased keys: %w", err)
	}
	r.erased = len(erased) > 0
	r.erasing.Store(len(jobs) > 0)
	return nil
}

func readJob(e ledger.Erasing) (j ErasureJob, err error) {
	if err := json.Unmarshal(e.Job, &j); err != nil {
		return j, fault.New(fault.Tampered, "recorder: stored erasure").Wrap(err)
	}
	return j, nil
}

// finishErasures purges the streams of erased patients, once nothing of them can be announced any more,
// and takes the last traces out of the key database's files.
func (a *announcer) finishErasures(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !a.r.erasing.Load() {
			continue
		}
		if err := a.finishJobs(ctx); err != nil && ctx.Err() == nil {
			a.r.log.WarnContext(ctx, "an erasure is not finished yet", "kind", fault.KindOf(err).String())
			_ = pause(ctx, 2*time.Second)
		}
	}
}

func (a *announcer) finishJobs(ctx context.Context) error {
	a.r.erasing.Store(false) // one that is committed meanwhile sets it again
	jobs, err := a.r.deps.Store.Erasures(ctx)
	if err != nil {
		a.r.erasing.Store(true)
		return err
	}
	for _, e := range jobs {
		job, err := readJob(e)
		if err == nil && a.announced() >= job.Deliveries {
			err = a.finishJob(ctx, e.Index, job)
		} else {
			a.r.erasing.Store(true)
		}
		if err != nil {
			a.r.erasing.Store(true)
			return err
		}
	}
	return nil
}

func (a *announcer) finishJob(ctx context.Context, index uint64, job ErasureJob) error {
	if err := a.r.config.Fault("before purge", index); err != nil {
		return err
	}
	for _, id := range job.Subjects {
		if err := streams.EraseSubject(ctx, a.r.js, streams.Delivery, streams.DeliverySubject("*", "*", id.String())); err != nil {
			return err
		}
	}
	for _, id := range job.Devices {
		if err := streams.EraseSubject(ctx, a.r.js, streams.Push, streams.PushSubject("*", id.String())); err != nil {
			return err
		}
	}
	for _, seq := range job.Seqs {
		if err := streams.EraseMessage(ctx, a.r.js, streams.Intake, seq); err != nil {
			return err
		}
	}
	// Again: what was cached or stored while the recorder deleted them.
	if _, err := a.r.deps.Keys.Shred(ctx, job.Keys); err != nil {
		return err
	}
	a.r.deps.Keys.Forget(job.Patient)
	if err := a.r.deps.Keys.Scrub(ctx); err != nil {
		return err
	}
	if err := a.r.config.Fault("before finish", index); err != nil {
		return err
	}
	if err := a.r.deps.Store.FinishErasure(ctx, index); err != nil {
		return err
	}
	a.r.log.InfoContext(ctx, "a patient is erased", "index", index)
	return nil
}

// withoutErased leaves out what repeats a message of an erased patient: that patient is not made
// anew, and the decision is 410.
func (r *Recorder) withoutErased(ctx context.Context, refs []ledger.PatientRef, of []*unit) ([]ledger.PatientRef, []*unit, error) {
	if !r.erased {
		return refs, of, nil
	}
	_, known, err := r.deps.Keys.Find(ctx, refs)
	if err != nil {
		return nil, nil, fmt.Errorf("recorder: patients: %w", err)
	}
	var names []ledger.Key
	for i := range refs {
		if !known[i] {
			names = append(names, of[i].name)
		}
	}
	if len(names) == 0 {
		return refs, of, nil
	}
	have, err := r.deps.Store.Load(ctx, ledger.Want{Messages: names})
	if err != nil {
		return nil, nil, fmt.Errorf("recorder: load: %w", err)
	}
	var keptRefs []ledger.PatientRef
	var kept []*unit
	for i := range refs {
		if m, ok := have.Messages[of[i].name]; ok && m.Erased() {
			continue
		}
		keptRefs, kept = append(keptRefs, refs[i]), append(kept, of[i])
	}
	return keptRefs, kept, nil
}
