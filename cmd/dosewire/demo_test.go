package main

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/demo"
	"github.com/dosewire/dosewire/internal/hub"
)

// perform plays the demo on a hub with these adapters.
func perform(t *testing.T, specs []adapters.Spec) (demo.Result, error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := hub.Config{Data: t.TempDir(), HTTP: hub.HTTP{Address: "127.0.0.1:0"}, NATS: hub.NATS{Address: "127.0.0.1:0"}}
	if slices.ContainsFunc(specs, func(s adapters.Spec) bool { return s.Name == "push" }) {
		c.Adapters = map[string]json.RawMessage{"push": json.RawMessage(`{"allowLoopback": true}`)}
	}
	h, err := hub.New(ctx, c, hub.Options{Adapters: specs, Log: io.Discard})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("hub: %v", err)
		}
	}()
	select {
	case <-h.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("hub is not ready in 30 s")
	}
	return demo.Run(ctx, operator{h, c.WithDefaults().Notary.Policy}, t.Output())
}

func TestDemoSeesEveryStep(t *testing.T) {
	r, err := perform(t, all.List())
	if err != nil || r.Steps < 30 || r.Entries < 20 || len(r.Links) != 3 {
		t.Errorf("%+v %v", r, err)
	}
}

// The play fails without any one of the adapters: each of them is needed for something that is seen.
func TestDemoNeedsEveryAdapter(t *testing.T) {
	for i, spec := range all.List() {
		t.Run("without "+spec.Name, func(t *testing.T) {
			t.Parallel()
			if _, err := perform(t, slices.Delete(all.List(), i, i+1)); err == nil {
				t.Error("the play did not notice")
			}
		})
	}
}
