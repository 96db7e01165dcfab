package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/demo"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger/receipt"
)

func newDemo(g *globals) *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a day of two clinics, two pharmacies and three patients",
		Long: `Start a hub in a temporary folder and play a day on it: prescriptions by REST and NATS,
Bundles, a claim, a hand-over, a cancellation, a race, an invalid message. Every step is
checked from outside, a receipt is judged offline, then the whole ledger is verified.

Afterwards it keeps serving, so that you can open the inbox and send your own. The folder
is removed at the end unless --data names one; with --once it ends after the play and
exits 0 only if every step was seen to happen.`,
		Example: `  dosewire demo
  dosewire demo --once
  DOSEWIRE_HTTP_ADDRESS=127.0.0.1:0 DOSEWIRE_NATS_ADDRESS=127.0.0.1:0 dosewire demo --once`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, g, once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the play")
	return cmd
}

func runDemo(cmd *cobra.Command, g *globals, once bool) (err error) {
	if g.data == "" {
		dir, failed := os.MkdirTemp("", "dosewire-demo-")
		if failed != nil {
			return fmt.Errorf("demo: %w", failed)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		g.data = dir
	}
	c, err := g.load()
	if err != nil {
		return err
	}
	if err := phonesOnLoopback(&c); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	log, err := os.Create(filepath.Join(c.Data, "demo.log"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer log.Close()
	h, err := hub.New(cmd.Context(), c, hub.Options{Adapters: all.List(), Log: log, Version: version()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	played := false
	err = serve(ctx, h, func() error {
		if err := play(ctx, cmd.OutOrStdout(), h, c, once); err != nil {
			return err
		}
		played = true
		if once {
			stop()
		}
		return nil
	})
	if err == nil && once && !played {
		err = errors.New("demo: stopped before the play was over")
	}
	return err
}

// phonesOnLoopback lets the push adapter reach the play's phones, which listen on this machine.
func phonesOnLoopback(c *hub.Config) error {
	if c.Adapters == nil {
		c.Adapters = map[string]json.RawMessage{}
	}
	if c.Adapters["push"] != nil {
		return usageError{errors.New("demo sets the options of the push adapter itself")}
	}
	c.Adapters["push"] = json.RawMessage(`{"allowLoopback": true}`)
	return nil
}

func play(ctx context.Context, w io.Writer, h *hub.Hub, c hub.Config, once bool) error {
	fmt.Fprintf(w, "dosewire %s: embedded hub at %s, NATS at %s\n", version(), h.URL(), h.NATSURL())
	result, err := demo.Run(ctx, operator{h, c.Notary.Policy}, w)
	if fault.CodeOf(err) == fault.CodeIdentifierUse {
		return usageError{fmt.Errorf("demo: it was played on %s before: give --data another folder, or go on there with dosewire serve --data %[1]s", c.Data)}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d steps, all seen to happen; %d entries verified.\n", result.Steps, result.Entries)
	if once {
		return nil
	}
	credential := filepath.Join(c.Data, "clinic.json")
	file, err := reserve(credential)
	if err != nil {
		return err
	}
	if err := file.save(admin.Credential(result.Clinic)); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nStill serving until Ctrl-C. Open an inbox (each link works once):\n")
	for _, l := range result.Links {
		fmt.Fprintf(w, "  %-16s %s\n", l.Patient, l.URL)
	}
	fmt.Fprintf(w, "\nSend one of your own:\n  go run ./cmd/dosewire send --as %s testdata/demo/02-metformin-repeats.json\n"+
		"Verify the ledger:\n  go run ./cmd/dosewire verify --data %s\n", credential, c.Data)
	return nil
}

// operator lets the play act as the operator of its hub.
type operator struct {
	hub    *hub.Hub
	policy string // file
}

func (o operator) AddOrganization(ctx context.Context, kind, name, identifier string) (demo.Credential, error) {
	c, err := o.hub.AddOrganization(ctx, admin.NewOrganization{Kind: kind, Name: name, Identifiers: []string{identifier}})
	return demo.Credential(c), err
}

func (o operator) Invite(ctx context.Context, org, system, value string) (string, error) {
	i, err := o.hub.Invite(ctx, admin.Patient{Org: org, System: system, Value: value})
	return i.URL, err
}

func (o operator) Judge(text, message []byte) error {
	policy, err := readTrust(o.policy)
	if err == nil {
		_, err = receipt.Verify(text, policy, message)
	}
	return err
}

func (o operator) Verify(ctx context.Context) (uint64, error) {
	v, err := o.hub.Verify(ctx, admin.Verification{}, nil)
	if err == nil && v.Bad != nil {
		err = fmt.Errorf("entry %d: %s", v.Bad.Entry, v.Bad.Reason)
	}
	return v.Entries, err
}
