package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newKeys(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Look after the deployment key: status, rotate, rewrap, move",
		Long: `Look after the deployment key, under which every patient's key is wrapped.

A rotation is two steps: rotate makes a new generation for new patients, rewrap brings the
keys of all others under it and retires the old generations. No record is touched, and every
digest and receipt stays as it is. Both ask the running hub, or open the key database when
none runs. docs/keys.md tells what each key protects.`,
		Example: "  dosewire keys status\n  dosewire keys rotate && dosewire keys rewrap",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newKeysStatus(g), newKeysRotate(g), newKeysRewrap(g), newKeysMove(g))
	return c
}

// withKeys runs do with the running hub, or with the key database if no hub runs.
func withKeys(ctx context.Context, g *globals, do func(admin.KeyService) error) (err error) {
	c, err := g.load()
	if err != nil {
		return err
	}
	client := admin.NewClient(c.AdminSocket())
	if client.Running(ctx) {
		return do(client)
	}
	desk, err := hub.OpenKeyDesk(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	return do(desk)
}

func newKeysStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what wraps the deployment key and how many keys each generation wraps",
		Example: "  dosewire keys status\n  dosewire keys status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd.Context(), g, func(s admin.KeyService) error {
				status, err := s.KeyStatus(cmd.Context())
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), status, func(w io.Writer) { showKeys(w, status) })
			})
		},
	}
}

func showKeys(w io.Writer, s admin.KeyStatus) {
	fmt.Fprintf(w, "wrapper %s\n", s.Wrapper)
	for _, g := range append([]admin.Generation{s.Index}, s.Generations...) {
		name, made := fmt.Sprintf("generation %d", g.Number), ""
		if g.Number == 0 {
			name = "index key"
		}
		if g.Made != nil {
			made = ", made " + g.Made.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "  %-14s %d keys%s", name, g.Keys, made)
		if g.Newest {
			fmt.Fprint(w, ", newest")
		}
		if g.Wrapper != "" && g.Wrapper != s.Wrapper {
			fmt.Fprintf(w, "\n    WRAPPED BY %s: set the configuration to it, or run dosewire keys move", g.Wrapper)
		}
		fmt.Fprintln(w)
	}
	if s.Cached != nil {
		fmt.Fprintf(w, "  %-14s %d patients\n", "cached", *s.Cached)
	}
	if s.Behind > 0 {
		fmt.Fprintf(w, "%d of %d keys are under an older generation: run dosewire keys rewrap\n", s.Behind, s.Keys)
	}
}

func newKeysRotate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Make a new generation of the deployment key for new patients",
		Long: `Make a new generation of the deployment key. New patients' keys are wrapped under it at once by
this hub, and by the others within a minute; what is wrapped already stays readable. The
rotation is a statement in the ledger. Run rewrap afterwards to end the older generations.`,
		Example: "  dosewire keys rotate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd.Context(), g, func(s admin.KeyService) error {
				r, err := s.RotateKeys(cmd.Context())
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
					fmt.Fprintf(w, "generation %d of the deployment key wraps new keys\n", r.Generation)
					if !r.Stated {
						fmt.Fprintln(w, "it is stated in the ledger when a hub runs next")
					}
				})
			})
		},
	}
}

func newKeysRewrap(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap every patient's key under the newest generation and retire the older ones",
		Long: `Wrap every patient's key under the newest generation of the deployment key, in batches, and
delete the older generations. It may be stopped and called again, while hubs run, and by
several at once. No record is touched.

Exit code 5 means that some keys cannot be unwrapped: they and their generation stay.`,
		Example: "  dosewire keys rewrap\n  dosewire keys rewrap --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd.Context(), g, func(s admin.KeyService) error {
				bar := newProgress(cmd.ErrOrStderr(), g.json)
				began := time.Now()
				r, err := s.RewrapKeys(cmd.Context(), func(p admin.Progress) { bar.show("wrapped anew", p.Entries, p.Total) })
				bar.clear()
				if err != nil {
					return err
				}
				err = g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
					fmt.Fprintf(w, "%d keys wrapped anew, %.0f/s; generations retired: %d\n", r.Keys, rate(r.Keys, time.Since(began)), len(r.Retired))
				})
				if err == nil && r.Damaged > 0 {
					err = fault.New(fault.Tampered, fmt.Sprintf("%d keys cannot be unwrapped, the first is %s: restore the key database's backup of the last days", r.Damaged, r.First))
				}
				return err
			})
		},
	}
}

func newKeysMove(g *globals) *cobra.Command {
	var to hub.Keys
	c := &cobra.Command{
		Use:   "move",
		Short: "Wrap the deployment key by another key file or KMS key",
		Long: `Wrap the deployment key by another key file or AWS KMS key than the one that the configuration
names now. Only the deployment key is wrapped anew: no patient's key, no record. Hubs that
run go on. Then change keys.file or keys.kms in the configuration, before any hub starts again.`,
		Example: `  dosewire keys move --to-kms arn:aws:kms:eu-central-1:111122223333:key/0a1b…
  dosewire keys move --to-file /secure/kek`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if (to.KMS == "") == (to.File == "") {
				return usageError{errors.New("one of --to-kms and --to-file is needed")}
			}
			c, err := g.load()
			if err != nil {
				return err
			}
			desk, err := hub.OpenKeyDesk(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, desk.Close()) }()
			moved, wrapper, err := desk.Move(cmd.Context(), to)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]any{"moved": moved, "wrapper": wrapper}, func(w io.Writer) {
				fmt.Fprintf(w, "%d wrapped keys moved to %s\nName it in the configuration before a hub starts again.\n", moved, wrapper)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&to.KMS, "to-kms", "", "`ARN` of a symmetric AWS KMS key")
	f.StringVar(&to.KMSEndpoint, "to-kms-endpoint", "", "`URL` of a private KMS endpoint")
	f.StringVar(&to.File, "to-file", "", "key `file`, made if it is absent")
	return c
}
