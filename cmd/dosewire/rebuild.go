package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
)

type rebuildFlags struct {
	check bool
	into  string
}

func newRebuild(g *globals) *cobra.Command {
	f := &rebuildFlags{}
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make all state again from the sealed records, and compare it with the tables",
		Long: `Decide every sealed record again, in the order of the ledger, by the same rules that decided it, and
make all state again from that alone: prescriptions, fills, dispenses, what was sent to which pharmacy,
organisations, the memory of messages. Erased patients are not in it, nor wrong collect codes that are
older than the quarantine is kept. Effects that wait to be announced, sessions, devices and the lists of
what was erased are not compared.

--check compares the result with the tables of the database, row by row and column by column, and
names the first difference. --into writes every row as a line of JSON into a new file, which stays
only if every record could be decided; there is no clinical content in it, but there are ids of patients.

It opens both databases and needs the deployment key. It changes nothing, and a hub may run
meanwhile. "dosewire verify" judges the records themselves and needs no key.

Exit code 5 means that a table is not what the records say, or that a record cannot be decided as it
was.`,
		Example: "  dosewire rebuild --check\n  dosewire rebuild --check --json\n  dosewire rebuild --into state.jsonl",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, g) },
	}
	c.Flags().BoolVar(&f.check, "check", false, "compare with the tables of the database")
	c.Flags().StringVar(&f.into, "into", "", "write the rows into this new `file`")
	return c
}

// rebuildVerdict is the verdict as --json prints it.
type rebuildVerdict struct {
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"` // entries a second
	hub.RebuildVerdict
}

func (f *rebuildFlags) run(cmd *cobra.Command, g *globals) (err error) {
	c, err := g.load()
	if err != nil {
		return err
	}
	how := hub.Rebuilding{Check: f.check}
	whole := false
	if f.into != "" {
		// A file that is there is never replaced: it may be the very database that is read.
		file, opening := os.OpenFile(f.into, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
		if opening != nil {
			return usageError{fmt.Errorf("--into: %w", opening)}
		}
		defer func() {
			err = errors.Join(err, file.Close())
			if !whole {
				err = errors.Join(err, os.Remove(f.into))
			}
		}()
		how.Into = file
	}
	bar := newProgress(cmd.ErrOrStderr(), g.json)
	began := time.Now()
	v, err := hub.Rebuild(cmd.Context(), c, how, func(p admin.Progress) { bar.show("decided", p.Entries, p.Total) })
	bar.clear()
	if err != nil {
		return err
	}
	took := time.Since(began)
	whole = v.Bad == nil
	switch {
	case v.Bad != nil:
		err = fault.New(fault.Tampered, fmt.Sprintf("entry %d: %s", v.Bad.Entry, v.Bad.Reason))
	case v.Difference != nil:
		err = v.Difference
	}
	j := rebuildVerdict{OK: err == nil, Seconds: took.Seconds(), Rate: rate(v.Entries, took), RebuildVerdict: v}
	return errors.Join(err, g.print(cmd.OutOrStdout(), j, func(w io.Writer) { j.report(w, f.check) }))
}

func (j rebuildVerdict) report(w io.Writer, checked bool) {
	fmt.Fprintf(w, "decided again: %d records of %d entries, %d erased, %.1f s (%.0f/s)\n", j.Records-j.Erased, j.Entries, j.Erased, j.Seconds, j.Rate)
	for _, table := range ledger.StateTables {
		if n, ok := j.Rows[table]; ok {
			fmt.Fprintf(w, "  %-16s %d\n", table, n)
		}
	}
	switch {
	case !j.OK: // the error says it
	case checked:
		fmt.Fprintf(w, "the tables are what the records say: %d rows compared\n", j.Compared)
	}
}
