package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newVerify(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Walk the whole ledger and every row, and name the first bad entry",
		Long: `Walk the whole chain from its origin, and check every stored row against its entry. No key is
needed. It asks the running hub, or opens the records database when none runs.

Exit code 5 means that stored data is not what was written; the first bad entry is named.`,
		Example: "  dosewire verify\n  dosewire verify --data /var/lib/dosewire --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			bar := newProgress(cmd.ErrOrStderr(), g.json)
			began := time.Now()
			v, err := verify(cmd.Context(), c, func(p admin.Progress) { bar.show("verified", p.Entries, p.Total) })
			bar.clear()
			if err != nil {
				return err
			}
			took := time.Since(began)
			if err := g.print(cmd.OutOrStdout(), v, func(w io.Writer) { report(w, v, took) }); err != nil {
				return err
			}
			if v.Bad != nil {
				return fault.New(fault.Tampered, fmt.Sprintf("entry %d: %s", v.Bad.Entry, v.Bad.Reason))
			}
			return nil
		},
	}
}

// verify asks the hub, or reads the database if no hub runs.
func verify(ctx context.Context, c hub.Config, progress func(admin.Progress)) (admin.Verdict, error) {
	v, err := admin.NewClient(c.AdminSocket()).Verify(ctx, progress)
	if errors.Is(err, admin.ErrNotRunning) {
		if _, err := os.Stat(c.Data); c.Store.DSN == "" && errors.Is(err, fs.ErrNotExist) {
			return v, usageError{fmt.Errorf("there is no data folder %s", c.Data)}
		}
		return hub.VerifyStore(ctx, c, progress)
	}
	return v, err
}

func report(w io.Writer, v admin.Verdict, took time.Duration) {
	if v.Bad != nil {
		fmt.Fprintf(w, "BAD at entry %d: %s\n%d entries before it are as written.\n", v.Bad.Entry, v.Bad.Reason, v.Entries)
		return
	}
	fmt.Fprintf(w, "%d entries: the chain and every row are as written.\n", v.Entries)
	fmt.Fprintf(w, "  records %d, erased %d, accesses %d, statements %d\n  leaf %s\n  %.0f entries/s\n",
		v.Records, v.Erased, v.Accesses, v.Statements, v.Leaf, rate(v.Entries, took))
}
