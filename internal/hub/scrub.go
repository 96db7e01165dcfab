package hub

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/streams"
)

// scrubGrace is how long the file that says how far it came may take to be written, on a disk that stalls.
const scrubGrace = 5 * time.Second

// openScrub compares the database with what this hub saw last, before anything is appended to it.
func (h *Hub) openScrub(ctx context.Context) (err error) {
	h.scrubber, err = scrub.Open(ctx, scrub.Config{
		Source: h.databases.records, Origin: h.config.Ledger.Origin, File: filepath.Join(h.config.Data, "scrub.json"),
		State: func(p ledger.Prescription) error { return recorder.Intact(h.keys, p) },
		Parts: func(ctx context.Context, after, upTo uint64) (map[uint64]int, error) {
			return streams.Parcels(ctx, h.js, after, upTo)
		},
		Log: h.log, Meter: h.telemetry.Meter("dosewire/scrub"),
	})
	return err
}

// runScrub begins when the recorder leads: of several hubs on one database, one watches it.
func (h *Hub) runScrub(ctx context.Context) error { return h.scrubber.Run(ctx) }

// damaged hears of what the recorder met.
func (h *Hub) damaged(ctx context.Context, index uint64, prescription ledger.ID, err error) {
	at := scrub.Place{Index: index}
	if prescription != (ledger.ID{}) {
		at = scrub.Place{Prescription: prescription}
	}
	h.scrubber.Report(ctx, at, err)
}

// Watch hears of damaged data that a reader met, and of data that is good again.
type Watch interface {
	Report(ctx context.Context, at scrub.Place, err error)
	Restored(ctx context.Context, at scrub.Place)
}

// WatchedBy tells w what is met from now on. Before it, damage is refused and nobody is alarmed.
func (r *Records) WatchedBy(w Watch) *Records {
	r.watch = w
	return r
}

// fence refuses what is damaged by a name of its own, and alarms: ledger.ErrDamaged. Other errors stay.
func (r *Records) fence(ctx context.Context, at scrub.Place, err error) error {
	if errors.Is(err, ledger.ErrNotFound) { // ids of records come from rows that were committed with them
		err = ledger.ErrMissing
	}
	if err == nil {
		if r.watch != nil {
			r.watch.Restored(ctx, at)
		}
		return nil
	}
	if fault.KindOf(err) != fault.Tampered {
		return err
	}
	if r.watch != nil {
		r.watch.Report(ctx, at, err)
	}
	return ledger.ErrDamaged.Wrap(err)
}

// erased is ledger.ErrErased for a record that an erasure emptied; any other that is empty is damaged.
func (r *Records) erased(ctx context.Context, at scrub.Place, rec ledger.Record) error {
	page, err := r.Reader.Page(ctx, rec.ErasedBy, 1)
	if _, unreadable := errors.AsType[*ledger.BadEntry](err); unreadable || err == nil && (len(page) == 0 || page[0].Entry.Index != rec.ErasedBy) {
		err = ledger.ErrErasure
	} else if err == nil {
		err = page[0].Erases(rec.Index, rec.ID)
	}
	if err := r.fence(ctx, at, err); err != nil {
		return err
	}
	return ledger.ErrErased
}

// Prescription refuses a state that the recorder did not write.
func (r *Records) Prescription(ctx context.Context, id ledger.ID) (ledger.Prescription, error) {
	p, err := r.Reader.Prescription(ctx, id)
	if err != nil {
		return p, err
	}
	if err := r.intact(ctx, p); err != nil {
		return ledger.Prescription{}, err
	}
	return p, nil
}

// PatientPrescriptions leaves out a state that the recorder did not write: the others are the patient's
// all the same.
func (r *Records) PatientPrescriptions(ctx context.Context, patient ledger.ID) ([]ledger.Prescription, error) {
	all, err := r.Reader.PatientPrescriptions(ctx, patient)
	if err != nil {
		return nil, err
	}
	good := all[:0]
	for _, p := range all {
		if r.intact(ctx, p) == nil {
			good = append(good, p)
		}
	}
	return good, nil
}

func (r *Records) intact(ctx context.Context, p ledger.Prescription) error {
	return r.fence(ctx, scrub.Place{Prescription: p.ID}, recorder.Intact(r.keys, p))
}
