package admin

import (
	"context"
	"net/http"
)

// Linker repairs what a patient joined (docs/linking.md).
type Linker interface {
	Unlink(ctx context.Context, q UnlinkRequest) (Unlinked, error)
}

// UnlinkRequest asks to take a patient out of the person to whom they were joined.
type UnlinkRequest struct {
	Patient
	Reason string `json:"reason"` // recorded; no names
	By     string `json:"by"`
	DryRun bool   `json:"dryRun,omitempty"`
}

// Unlinked is what was parted, or would be.
type Unlinked struct {
	DryRun bool    `json:"dryRun,omitempty"`
	Others int     `json:"others"`          // patients of organisations that the patient was joined with; 0 = nobody
	Entry  *uint64 `json:"entry,omitempty"` // of the decision
}

func linking(mux *http.ServeMux, l Linker) { mux.HandleFunc("POST /unlinks", answer(l.Unlink)) }

// Unlink is as in Linker; ErrNotRunning beside its errors.
func (c *Client) Unlink(ctx context.Context, q UnlinkRequest) (u Unlinked, err error) {
	return u, c.call(ctx, http.MethodPost, "/unlinks", q, &u)
}
