package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// KeyService is what an operator can do about the deployment key. No answer shows a key.
type KeyService interface {
	KeyStatus(ctx context.Context) (KeyStatus, error)
	RotateKeys(ctx context.Context) (Rotation, error)
	// RewrapKeys calls progress now and then from one goroutine; it may be nil.
	RewrapKeys(ctx context.Context, progress func(Progress)) (Rewrap, error)
}

// KeyStatus is the deployment key at a glance.
type KeyStatus struct {
	Wrapper     string       `json:"wrapper"` // that the configuration names
	Index       Generation   `json:"index"`   // the index key, which never changes
	Generations []Generation `json:"generations"`
	Keys        uint64       `json:"keys"`   // data keys in all
	Behind      uint64       `json:"behind"` // of them under an older generation than the newest
	Cached      *int         `json:"cached,omitempty"`
	Running     bool         `json:"running"` // a hub told this; else the key database alone
}

// Generation is one generation of the deployment key.
type Generation struct {
	Number  int        `json:"generation"`
	Wrapper string     `json:"wrapper,omitempty"` // "" when not noted
	Made    *time.Time `json:"made,omitempty"`    // nil when not noted
	Keys    uint64     `json:"keys"`
	Newest  bool       `json:"newest,omitempty"`
}

// Rotation is a new generation.
type Rotation struct {
	Generation int    `json:"generation"`
	ID         string `json:"id"`
	Stated     bool   `json:"stated"` // in the ledger; otherwise when a hub runs next
}

// Rewrap is what a rewrapping did.
type Rewrap struct {
	Keys    uint64 `json:"keys"`    // wrapped anew
	Damaged uint64 `json:"damaged"` // that cannot be unwrapped and were left
	First   string `json:"first,omitempty"`
	Retired []int  `json:"retired,omitempty"`
}

func handleKeys(mux *http.ServeMux, s KeyService) {
	mux.HandleFunc("GET /keys", answer(func(ctx context.Context, _ struct{}) (KeyStatus, error) { return s.KeyStatus(ctx) }))
	mux.HandleFunc("POST /keys/rotate", answer(func(ctx context.Context, _ struct{}) (Rotation, error) { return s.RotateKeys(ctx) }))
	mux.HandleFunc("POST /keys/rewrap", func(w http.ResponseWriter, r *http.Request) { rewrap(w, r, s) })
}

// rewrapLine is one line of a rewrapping: progress, and last either the end or a problem.
type rewrapLine struct {
	Progress *Progress `json:"progress,omitempty"`
	Rewrap   *Rewrap   `json:"rewrap,omitempty"`
	Problem  *problem  `json:"problem,omitempty"`
}

func rewrap(w http.ResponseWriter, r *http.Request, s KeyService) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	enc, rc := json.NewEncoder(w), http.NewResponseController(w)
	write := func(l rewrapLine) {
		if errors.Join(enc.Encode(l), rc.Flush()) != nil {
			cancel() // nobody is listening any more
		}
	}
	done, err := s.RewrapKeys(ctx, func(p Progress) { write(rewrapLine{Progress: &p}) })
	if err != nil {
		write(rewrapLine{Problem: problemOf(err)})
		return
	}
	write(rewrapLine{Rewrap: &done})
}

// KeyStatus, RotateKeys and RewrapKeys are as in KeyService; ErrNotRunning beside its errors.
func (c *Client) KeyStatus(ctx context.Context) (s KeyStatus, err error) {
	return s, c.call(ctx, http.MethodGet, "/keys", nil, &s)
}

func (c *Client) RotateKeys(ctx context.Context) (r Rotation, err error) {
	return r, c.call(ctx, http.MethodPost, "/keys/rotate", struct{}{}, &r)
}

func (c *Client) RewrapKeys(ctx context.Context, progress func(Progress)) (Rewrap, error) {
	resp, err := c.do(ctx, http.MethodPost, "/keys/rewrap", struct{}{})
	if err != nil {
		return Rewrap{}, err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var l rewrapLine
		if err := d.Decode(&l); err != nil {
			return Rewrap{}, fault.New(fault.Unavailable, "admin: the hub stopped while rewrapping; call it again, it goes on where it was").Wrap(err)
		}
		switch {
		case l.Rewrap != nil:
			return *l.Rewrap, nil
		case l.Problem != nil:
			return Rewrap{}, l.Problem.err()
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
}
