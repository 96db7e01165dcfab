package push

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

const (
	maxReceipt = 256 // bytes of a body
	// receipts of older pushes are not counted.
	maxReceiptAge = 7 * 24 * time.Hour
)

// mount adds the adapter's routes: both public, neither holds anything secret.
//
//	POST /push/ack   a phone showed a wake: {"id": "<id of the push>"}; 204, or 400 for an invented id
//	GET  /push/key   the application server key, base64url, text/plain
func mount(routes *adapters.Routes, r *receipts, publicKey string) {
	routes.Public("POST /push/ack", r)
	routes.Public("GET /push/key", keyHandler(publicKey))
}

func keyHandler(publicKey string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=us-ascii")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, publicKey)
	})
}

// receipts stores that a phone showed a wake.
type receipts struct {
	log     *slog.Logger
	now     func() time.Time
	devices devices
	ids     wakeIDs
	metrics metrics
}

func (r *receipts) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	var body struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxReceipt)).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id, err := r.ids.parse(body.ID)
	now := r.now()
	if err != nil || now.Sub(id.Sent) > maxReceiptAge {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	ctx := req.Context()
	if err := r.devices.Receipt(ctx, id.Device, id.Name, now); err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "push: receipt not stored", telemetry.Err(err))
		w.WriteHeader(fault.Status(err))
		return
	}
	r.metrics.shown(ctx, now.Sub(id.Sent))
	w.WriteHeader(http.StatusNoContent)
}
