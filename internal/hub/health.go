package hub

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// component is a part of the hub that can be unwell.
type component struct {
	name string
	err  error
}

// word is "ok" or the kind of fault: nothing more leaves the house.
func (c component) word() string {
	if c.err == nil {
		return "ok"
	}
	return fault.KindOf(c.err).String()
}

var errLeaving = fault.New(fault.Unavailable, "hub: it is starting or stopping")

// components asks each part how it is, inside first. A part that is not open yet is starting.
func (h *Hub) components(ctx context.Context) []component {
	select {
	case <-h.ready:
	default:
		return []component{{"hub", errLeaving}}
	}
	var self error
	if h.leaving.Load() {
		self = errLeaving
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, store := h.databases.records.Head(ctx)
	all := []component{{"hub", self}, {"store", store}, {"broker", h.broker.healthy()}, {"recorder", h.recorder.Healthy()}, {"ledger", h.scrubber.Healthy()}}
	if h.notary != nil {
		all = append(all, component{"notary", h.notary.Healthy()})
	}
	return all
}

// live says that the process serves.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the prober has gone
}

// readiness is 200 when every component is well, else 503; the body names each.
func (h *Hub) readiness(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Ready      bool              `json:"ready"`
		Components map[string]string `json:"components"`
	}{true, map[string]string{}}
	for _, c := range h.components(r.Context()) {
		answer.Components[c.name] = c.word()
		answer.Ready = answer.Ready && c.err == nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the prober has gone
}
