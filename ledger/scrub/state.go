package scrub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// state is what is kept between starts, as JSON.
type state struct {
	Origin       string    `json:"origin"`
	Seen         position  `json:"seen"`   // the furthest head
	At           position  `json:"at"`     // the walk
	Began        int64     `json:"began"`  // of the pass, unix ms
	Before       pass      `json:"before"` // the pass before
	Prescription ledger.ID `json:"prescription"`
	Round        int64     `json:"round"` // when the round of prescriptions began, unix ms
	Intake       intake    `json:"intake"`
	Gaps         []gap     `json:"gaps,omitempty"`
	Damage       []Damage  `json:"damage,omitempty"`
}

// position is a place in the chain.
type position struct {
	Epoch uint64 `json:"epoch,omitempty"`
	Seq   uint64 `json:"seq,omitempty"`
	Size  uint64 `json:"size"`
	Leaf  leaf   `json:"leaf"`
	Time  int64  `json:"time"`
}

func positionOf(h ledger.Head) position {
	return position{Epoch: h.Epoch, Seq: h.Seq, Size: h.Size, Leaf: leaf(h.Leaf), Time: h.Time}
}

func (p position) head() ledger.Head {
	return ledger.Head{Epoch: p.Epoch, Seq: p.Seq, Size: p.Size, Leaf: ledger.Hash(p.Leaf), Time: p.Time}
}

// pass is one walk over all rows that ended.
type pass struct {
	Began int64  `json:"began"` // unix ms; 0 = there was none
	Ended int64  `json:"ended"`
	Size  uint64 `json:"size"`
}

// leaf is a hash that is written in hex.
type leaf ledger.Hash

func (l leaf) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(l[:])), nil }

func (l *leaf) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(l) {
		return errPosition
	}
	copy(l[:], b)
	return nil
}

var errPosition = fault.New(fault.Invalid, "scrub: the file with the position cannot be understood: look at it, or remove it and the watch begins anew")

// load reads the position. A ledger of another origin begins anew.
func (s *Scrubber) load() error {
	fresh := state{Origin: s.config.Origin, Began: s.config.Now().UnixMilli()}
	fresh.At.Leaf = leaf(ledger.Origin(s.config.Origin))
	s.at = fresh
	if s.config.File == "" {
		return nil
	}
	text, err := os.ReadFile(s.config.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Unavailable, "scrub: the file with the position cannot be read").Wrap(err)
	}
	var kept state
	if err := json.Unmarshal(text, &kept); err != nil {
		return errPosition.Wrap(err)
	}
	if kept.Origin != s.config.Origin {
		return nil
	}
	s.at = kept
	for _, d := range kept.Damage {
		s.damage[d.Place] = d
	}
	s.note(func(st *Status) { st.Damaged = len(s.damage) })
	s.count()
	return nil
}

// save replaces the file whole. A position that is lost costs a pass, no more.
func (s *Scrubber) save(ctx context.Context) {
	s.saved = s.config.Now()
	if s.config.File == "" {
		return
	}
	s.at.Damage = s.Damages()
	text, err := json.Marshal(s.at)
	if err == nil {
		err = replace(s.config.File, text)
	}
	if err != nil {
		s.config.Log.WarnContext(ctx, "scrub: the position is not kept", "error", fault.New(fault.Unavailable, "scrub: write").Wrap(err))
	}
}

// replace writes a file beside the old one and renames it.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("make: %w", err)
	}
	defer os.Remove(f.Name()) // after the rename there is none
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// age estimates since when the row that waits longest was not checked: where the walk is now, the
// pass before was at a known share of its way.
func (s *Scrubber) age(now time.Time) {
	since, b := s.at.Began, s.at.Before
	if b.Began != 0 {
		share := 1.0
		if b.Size > 0 {
			share = min(float64(s.at.At.Size)/float64(b.Size), 1)
		}
		since = b.Began + int64(share*float64(b.Ended-b.Began))
	}
	s.note(func(st *Status) { st.Oldest = max(now.Sub(time.UnixMilli(since)), 0) })
}
