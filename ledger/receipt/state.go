package receipt

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// ErrState: a file is not a State.
var ErrState = fault.New(fault.Invalid, "receipt: the state of an earlier verification is not understood")

// stateFile is a State as JSON. Hashes are hexadecimal.
type stateFile struct {
	Version int        `json:"version"`
	Origin  string     `json:"origin"`
	Size    uint64     `json:"size"`
	Leaf    string     `json:"leaf"`
	Time    int64      `json:"time"`
	Levels  [][]string `json:"levels"`
	Signed  uint64     `json:"signed,omitempty"` // size of the newest checkpoint that was accepted
	Root    string     `json:"root,omitempty"`   // its root
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s State) MarshalJSON() ([]byte, error) {
	f := stateFile{Version: 1, Origin: s.Origin, Size: s.Head.Size, Leaf: hex.EncodeToString(s.Head.Leaf[:]), Time: s.Head.Time, Levels: [][]string{}}
	for _, level := range s.Tree.Levels {
		texts := []string{}
		for _, h := range level {
			texts = append(texts, hex.EncodeToString(h[:]))
		}
		f.Levels = append(f.Levels, texts)
	}
	if s.Signed.Size > 0 {
		f.Signed, f.Root = s.Signed.Size, hex.EncodeToString(s.Signed.Root[:])
	}
	return json.Marshal(f)
}

// UnmarshalJSON refuses what cannot be the state of a walk with ErrState. That it belongs to a ledger
// is found out by the walk.
func (s *State) UnmarshalJSON(b []byte) error {
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil {
		return ErrState.Wrap(err)
	}
	if f.Version != 1 || f.Time < 0 || len(f.Levels) > 8 {
		return ErrState
	}
	out := State{Origin: f.Origin, Head: ledger.Head{Size: f.Size, Time: f.Time}}
	var err error
	if out.Head.Leaf, err = hexHash(f.Leaf); err != nil {
		return ErrState.Wrap(err)
	}
	if out.Signed.Size = f.Signed; f.Signed > 0 {
		if out.Signed.Root, err = hexHash(f.Root); err != nil {
			return ErrState.Wrap(err)
		}
	}
	for _, texts := range f.Levels {
		if len(texts) >= tileWidth {
			return ErrState
		}
		level := make([]ledger.Hash, len(texts))
		for i, text := range texts {
			if level[i], err = hexHash(text); err != nil {
				return ErrState.Wrap(err)
			}
		}
		out.Tree.Levels = append(out.Tree.Levels, level)
	}
	if out.Tree.Size() != out.Head.Size {
		return ErrState
	}
	*s = out
	return nil
}

func hexHash(text string) (h ledger.Hash, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, fmt.Errorf("not a hash")
	}
	return ledger.Hash(raw), nil
}
