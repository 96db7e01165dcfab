package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/hub"
)

func newServe(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the hub until interrupted",
		Long: `Run the hub until it is interrupted (SIGINT, SIGTERM), then finish what was begun.

Without configuration it carries its own NATS server and SQLite databases, listens on
loopback only, and keeps everything in one data folder: for evaluation or one clinic.
Logs go to standard error.`,
		Example: `  dosewire serve
  dosewire serve --data /var/lib/dosewire
  dosewire serve --config dosewire.yaml
  DOSEWIRE_HTTP_ADDRESS=127.0.0.1:0 dosewire serve --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			h, err := hub.New(cmd.Context(), c, hub.Options{Adapters: all.List(), Log: cmd.ErrOrStderr(), Version: version()})
			if err != nil {
				return err
			}
			return serve(cmd.Context(), h, func() error { return g.announce(cmd.OutOrStdout(), c, h) })
		},
	}
}

// serve runs the hub and calls ready once it serves. An error of ready stops the hub and is returned.
func serve(ctx context.Context, h *hub.Hub, ready func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	called := make(chan error, 1)
	go func() {
		select {
		case <-h.Ready():
			err := ready()
			called <- err
			if err != nil {
				stop()
			}
		case <-ctx.Done():
			called <- nil
		}
	}()
	err := h.Run(ctx)
	stop()
	return errors.Join(<-called, err)
}

func (g *globals) announce(w io.Writer, c hub.Config, h *hub.Hub) error {
	about := map[string]string{"mode": c.Mode, "url": h.URL(), "nats": h.NATSURL(), "data": c.Data, "admin": h.AdminSocket()}
	return g.print(w, about, func(w io.Writer) {
		fmt.Fprintf(w, "dosewire %s serves\n  FHIR   %s/fhir\n  NATS   %s\n  inbox  %s/inbox/\n  data   %s\n", version(), h.URL(), h.NATSURL(), h.URL(), c.Data)
		if c.Mode == hub.Embedded && c.Store.DSN == "" {
			fmt.Fprintln(w, "Embedded mode: for evaluation or one clinic. Tampering is evident, not prevented.")
		}
	})
}
