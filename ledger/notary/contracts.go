package notary

import (
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// Source is the ledger as the notary reads it; read rights suffice.
type Source interface {
	Head(ctx context.Context) (ledger.Head, error)
	// Entries returns the entries that are stored from index from on, in order, at most limit. What
	// is missing is left out: it checks nothing but the form (a *ledger.BadEntry).
	Entries(ctx context.Context, from uint64, limit int) ([]ledger.Entry, error)
}

// Register holds objects that change by compare and swap.
type Register interface {
	// Get returns the object at path, or ErrNoObject.
	Get(ctx context.Context, path string) ([]byte, error)
	// Replace stores data durably if what is stored at path still equals old (nil: nothing), or
	// returns ErrMoved.
	Replace(ctx context.Context, path string, old, data []byte) error
}

// Storage holds what is published. Paths have slashes and no dots but ".p/". All methods are safe
// for concurrent use.
type Storage interface {
	Register
	// Create stores an object that never changes, durably. The same bytes again are fine; ErrDiffers
	// when others are stored.
	Create(ctx context.Context, path string, data []byte) error
}

// pruner is a Storage that can let go of the partial tiles of a tile that is full.
type pruner interface {
	// Prune removes everything below path. Nothing there is fine.
	Prune(ctx context.Context, path string) error
}
