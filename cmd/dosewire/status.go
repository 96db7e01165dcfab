package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
)

func newStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show how the running hub is",
		Example: "  dosewire status\n  dosewire status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			op, err := g.operator()
			if err != nil {
				return err
			}
			s, err := op.Status(cmd.Context())
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "dosewire %s, %s on %s, up %s\n", s.Version, s.Mode, s.Store, time.Since(s.Started).Round(time.Second))
				fmt.Fprintf(w, "  %s\n  %s\n", s.URL, s.NATS)
				for _, name := range slices.Sorted(maps.Keys(s.Components)) {
					fmt.Fprintf(w, "  %-14s %s\n", name, s.Components[name])
				}
				fmt.Fprintf(w, "  %-14s %d\n  %-14s %d entries, leaf %s\n  %-14s %d\n", "organisations", s.Organizations,
					"ledger", s.Head.Entries, s.Head.Leaf, "effects", s.Head.Deliveries)
			})
		},
	}
}

// newHealth is for container health checks: the image holds nothing but this program.
func newHealth(g *globals) *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:     "health",
		Short:   "Exit 0 if the hub is ready, 4 if not",
		Example: "  dosewire health\n  dosewire health --url http://127.0.0.1:8080",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				op, err := g.operator()
				if err != nil {
					return err
				}
				s, err := op.Status(cmd.Context())
				if err != nil {
					return err
				}
				url = s.URL
			}
			r, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url+"/readyz", nil)
			if err != nil {
				return usageError{err}
			}
			client := &http.Client{Timeout: 5 * time.Second}
			resp, err := client.Do(r)
			if err != nil {
				return fault.New(fault.Unavailable, "the hub does not answer").Wrap(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fault.New(fault.Unavailable, "the hub is not ready")
			}
			return nil
		},
	}
	c.Flags().StringVar(&url, "url", "", "base `URL` of the hub; the admin socket tells it otherwise")
	return c
}
