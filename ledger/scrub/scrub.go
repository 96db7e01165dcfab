package scrub

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Source is the database that is watched. Both stores are one.
type Source interface {
	Head(ctx context.Context) (ledger.Head, error)
	// Entry returns the entry at an index, or ledger.ErrNotFound.
	Entry(ctx context.Context, index uint64) (ledger.Entry, error)
	// Page returns entries from index from on in order, at most limit, each with the row it covers; with
	// an error, those before it. What is no entry of its place is a *ledger.BadEntry.
	Page(ctx context.Context, from uint64, limit int) ([]ledger.Row, error)
	// Strays returns the rows with from <= index < to that do not fit the entry whose index they have.
	Strays(ctx context.Context, from, to uint64) ([]ledger.Stray, error)
	// Prescriptions returns those with an id above after, in the order of ids, at most limit.
	Prescriptions(ctx context.Context, after ledger.ID, limit int) ([]ledger.Prescription, error)
	// Records returns which messages the records with from <= index < to stand for, in order.
	Records(ctx context.Context, from, to uint64) ([]ledger.Account, error)
	// Others returns which messages with after < sequence <= upTo were refused or repeated.
	Others(ctx context.Context, epoch, after, upTo uint64) ([]ledger.Account, error)
	// PendingAccess returns accesses without an entry, oldest first, at most limit.
	PendingAccess(ctx context.Context, limit int) ([]ledger.Access, error)
}

// Config of a scrubber. Source and Origin are needed; the zero value of each other field is its
// default.
type Config struct {
	Source Source
	Origin string // of the ledger
	File   string // where the position is kept; "" = nowhere
	// State compares the present state of a prescription with what the recorder wrote, ledger.ErrState
	// or nil; nil = not compared.
	State func(ledger.Prescription) error
	// Parts says how many messages each parcel with after < sequence <= upTo carried, as far as the
	// stream still has it; nil = unknown.
	Parts func(ctx context.Context, after, upTo uint64) (map[uint64]int, error)

	Interval time.Duration // of Run; 1 s
	Period   time.Duration // how long one pass over all rows takes; 20 h, so that 24 h are kept with room
	Floor    int           // rows in a second at least; 100
	Ceiling  int           // and at most; 5000
	Rest     time.Duration // from the beginning of a pass to that of the next at least; 10 s
	Log      *slog.Logger  // discards when nil
	Meter    metric.Meter  // no metrics when nil
	Now      func() time.Time
}

func (c *Config) defaults() {
	set(&c.Interval, time.Second)
	set(&c.Period, 20*time.Hour)
	set(&c.Floor, 100)
	set(&c.Ceiling, 5000)
	set(&c.Rest, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noop.Meter{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Scrubber watches one database. Make it with Open.
type Scrubber struct {
	config  Config
	metrics metrics

	// Used by the goroutine that ticks.
	at       state
	stray    map[uint64]bool  // rows of the page in hand that do not fit their entries
	erasure  map[uint64]error // what is wrong between the rows of the page in hand and erasures
	loose    bool             // the last entry of the walk was damaged: the next one's prev is taken as given
	saved    time.Time        // when at was stored last
	regauged time.Time        // when open gaps were last looked at again
	ticked   time.Time
	unread   bool // reading failed at the last tick, and it was said

	mu     sync.Mutex // guards what follows
	status Status
	damage map[Place]Damage
}

// Status is the watch at a glance.
type Status struct {
	Checked     uint64        // rows since this process began
	Passes      uint64        // passes over all rows that ended
	Oldest      time.Duration // since the row that waits longest was checked; an estimate within a pass
	Damaged     int           // rows that are damaged now
	Unaccounted uint64        // messages of the intake that left nothing behind
	Reconciled  uint64        // the last intake sequence that is accounted for
	Waiting     time.Duration // age of the oldest disclosure without an entry; 0 = none
	Head        error         // what is wrong with the head; nil = nothing
}

// Open reads the position and compares the database with it: a *ledger.BadEntry of ledger.ErrHead says
// that it was set back or rewritten since. An empty ledger is fine.
func Open(ctx context.Context, c Config) (*Scrubber, error) {
	if c.Source == nil || c.Origin == "" {
		return nil, fault.New(fault.Internal, "scrub: a source and an origin are needed")
	}
	c.defaults()
	s := &Scrubber{config: c, damage: map[Place]Damage{}}
	var err error
	if s.metrics, err = newMetrics(c.Meter, s.Status); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	_, err = s.head(ctx)
	return s, err
}

// Run ticks until ctx ends. What it finds is in the log, in the metrics and in Status; it returns nil.
func (s *Scrubber) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Interval)
	defer ticker.Stop()
	for {
		_ = s.Tick(ctx) // said there
		select {
		case <-ctx.Done():
			s.save(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
		}
	}
}

// Tick looks once. Its error means that it could not read, or is what is wrong with the head.
func (s *Scrubber) Tick(ctx context.Context) error {
	err := s.tick(ctx)
	if err != nil && fault.KindOf(err) != fault.Tampered && ctx.Err() == nil && !s.unread {
		s.unread = true
		s.config.Log.WarnContext(ctx, "scrub: cannot read", "kind", fault.KindOf(err).String())
	}
	s.unread = s.unread && err != nil
	return err
}

func (s *Scrubber) tick(ctx context.Context) error {
	now := s.config.Now()
	share := s.config.Interval
	if !s.ticked.IsZero() {
		share = min(now.Sub(s.ticked), 2*s.config.Interval)
	}
	s.ticked = now
	head, broken := s.head(ctx)
	if broken != nil && fault.KindOf(broken) != fault.Tampered {
		return broken
	}
	rows := max(1, int(float64(s.rate(head.Size))*share.Seconds()))
	err := errors.Join(s.walk(ctx, head, rows), s.states(ctx, rows), s.reconcile(ctx, head), s.disclosures(ctx))
	s.age(now)
	if now.Sub(s.saved) >= 10*time.Second {
		s.save(ctx)
	}
	return errors.Join(broken, err)
}

// rate is rows in a second, for a ledger of that size.
func (s *Scrubber) rate(size uint64) int {
	wanted := float64(size) / s.config.Period.Seconds()
	return int(min(max(wanted+1, float64(s.config.Floor)), float64(s.config.Ceiling)))
}

// Status may be called by all.
func (s *Scrubber) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Healthy is nil unless the head is not what it must be.
func (s *Scrubber) Healthy() error { return s.Status().Head }

func (s *Scrubber) note(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}
