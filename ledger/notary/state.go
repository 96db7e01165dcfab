package notary

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// stateName is the object in Config.State.
const stateName = "state.json"

// maxTree is the largest size that a state may have: tlog's walk down a tree does not end in larger ones.
const maxTree = 1 << 62

// state is what the notary must not forget. It is stored before a signature leaves the process.
type state struct {
	Origin    string            `json:"origin"`
	Size      uint64            `json:"size"`
	Time      int64             `json:"time"` // of the last entry, unix ms
	Leaf      hash              `json:"leaf"` // of the last entry
	Edge      []hash            `json:"edge"` // perfect subtrees, the largest first
	Signed    string            `json:"signed"`
	Published uint64            `json:"published"`           // size of the last checkpoint that was published
	Witnesses map[string]uint64 `json:"witnesses,omitempty"` // size that each witness key has cosigned
}

// hash prints as hexadecimal.
type hash ledger.Hash

func (h hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return ErrState
	}
	*h = hash(b)
	return nil
}

func (s state) root() ledger.Hash {
	edge := make([]ledger.Hash, len(s.Edge))
	for i, h := range s.Edge {
		edge[i] = ledger.Hash(h)
	}
	return root(edge)
}

func (s state) checkpoint() trust.Checkpoint {
	return trust.Checkpoint{Origin: s.Origin, Size: s.Size, Root: s.root()}
}

// check demands that the state is of this origin, and signed by this key.
func (s state) check(origin string, key note.Verifier) error {
	if s.Origin != origin {
		return ErrState.Wrap(fmt.Errorf("it is of origin %s, this notary's is %s", s.Origin, origin))
	}
	v, err := trust.Solo(key).Open([]byte(s.Signed))
	if err != nil {
		return ErrState.Wrap(fmt.Errorf("it was not signed with this key: %w", err))
	}
	if v.Checkpoint != s.checkpoint() || s.Size > maxTree {
		return ErrState.Wrap(errors.New("it is not what was signed"))
	}
	return nil
}

// loadState returns the bytes too: what the next swap compares with. nil means that there is none.
func loadState(ctx context.Context, r Register) (*state, []byte, error) {
	b, err := r.Get(ctx, stateName)
	if errors.Is(err, ErrNoObject) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("notary: read state: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, nil, ErrState.Wrap(errors.New("it is not JSON as written here"))
	}
	return &s, b, nil
}

// swap stores a state in place of the one that was loaded or swapped last.
func (n *Notary) swap(ctx context.Context, s state) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("notary: state: %w", err)
	}
	if err := n.config.State.Replace(ctx, stateName, n.stored, b); err != nil {
		return fmt.Errorf("notary: store state: %w", err)
	}
	n.state, n.stored = s, b
	return nil
}
