package hub

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// Rebuilding says what is done with state that was made again.
type Rebuilding struct {
	Check bool      // compare it with the stored tables
	Into  io.Writer // write it there as lines of JSON; nil = nowhere
}

// RebuildVerdict is what came of a rebuild.
type RebuildVerdict struct {
	Entries    uint64               `json:"entries"`
	Records    uint64               `json:"records"`
	Erased     uint64               `json:"erased"` // of the records: nothing is left to decide
	Rows       map[string]int       `json:"rows,omitempty"`
	Compared   uint64               `json:"compared,omitempty"`   // stored rows
	Bad        *admin.Bad           `json:"bad,omitempty"`        // a record that cannot be decided as it was
	Difference *recorder.Difference `json:"difference,omitempty"` // between the stored tables and the rebuilt ones
}

// Rebuild decides every record of the configured databases again and says what came of it. It only reads, and
// a hub may run meanwhile. A difference is in the verdict; an error means that it could not find out.
func Rebuild(ctx context.Context, c Config, how Rebuilding, progress func(admin.Progress)) (v RebuildVerdict, err error) {
	d, err := openDatabases(ctx, c.WithDefaults())
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	keys, err := ledger.OpenKeyring(ctx, d.keys, d.wrapper)
	if err != nil {
		return v, err
	}
	head, err := d.records.Head(ctx)
	if err != nil {
		return v, fmt.Errorf("hub: head: %w", err)
	}
	show := func(n uint64) {
		if progress != nil {
			progress(admin.Progress{Entries: n, Total: max(n, head.Size)})
		}
	}
	b := recorder.NewRebuilt(d.records, keys)
	b.Keep = how.Into != nil
	if err = b.Follow(ctx, 0, show); err == nil && how.Check {
		v.Compared, err = b.Check(ctx, d.records, show)
		if _, differs := errors.AsType[*recorder.Difference](err); differs {
			// A hub that runs may have erased somebody between the two reads; what is wrong stays wrong.
			v.Compared, err = b.Check(ctx, d.records, show)
		}
	}
	v.Entries, v.Records, v.Erased = b.Entries, b.Records, b.Erased
	if v.Difference, _ = errors.AsType[*recorder.Difference](err); v.Difference != nil {
		err = nil
	}
	if bad, ok := errors.AsType[*ledger.BadEntry](err); ok {
		v.Bad, err = &admin.Bad{Entry: bad.Index, Reason: bad.Err.Error()}, nil
	}
	if err != nil || v.Bad != nil {
		return v, err
	}
	if v.Rows, err = b.Rows(); err != nil || how.Into == nil {
		return v, err
	}
	return v, b.Write(how.Into)
}
