package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
)

// validateFlags are the flags of validate.
type validateFlags struct {
	ndjson bool
	quiet  bool
}

func newValidate(g *globals) *cobra.Command {
	f := &validateFlags{}
	c := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Validate resources against FHIR R4, without a hub",
		Long: `Judge resources of any type against base FHIR R4, as the hub judges what it is sent before its own
rules. A file holds one resource; *.ndjson (or .jsonl) holds one a line; - is standard input (NDJSON with
--ndjson). No hub and no configuration is needed, and nothing is sent anywhere.

Each issue is a line: file:line:column: severity code: text (expression). A value of the resource is
never printed. With --json each resource is an object: file, line (NDJSON), type, valid, issues. A
resource that is refused does not end the work, nor does a file that cannot be read. NDJSON is judged
on all processors, in bounded memory, and printed in its order.

A modifierExtension and HTML tags in a text are refused, which base R4 allows; whatever else is refused breaks
R4. See docs/validation.md.

Exit code 0: all are valid, 3: at least one is refused, 2: wrong usage, or a file cannot be read, 1: the
answer cannot be printed, 130: interrupted.`,
		Example: `  dosewire validate prescription.json
  dosewire validate backlog.ndjson --quiet
  dosewire validate *.json --json
  zcat export.ndjson.gz | dosewire validate - --ndjson`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			v := &validation{
				files: args, ndjson: f.ndjson, stdin: cmd.InOrStdin(), form: form{json: g.json, quiet: f.quiet},
				out: cmd.OutOrStdout(), log: cmd.ErrOrStderr(), bar: newProgress(cmd.ErrOrStderr(), g.json),
			}
			err := v.run(cmd.Context())
			v.bar.clear()
			v.total.summary(cmd.ErrOrStderr(), time.Since(began))
			if err != nil {
				return fmt.Errorf("validate: %w", err)
			}
			return v.total.verdict()
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.ndjson, "ndjson", false, "one resource a line, whatever the file's name")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print refused resources only")
	return c
}

// tally counts what was judged.
type tally struct {
	resources uint64
	refused   uint64
	warnings  uint64
	unread    uint64 // files
	bytes     uint64
}

func (t *tally) add(o tally) {
	t.resources += o.resources
	t.refused += o.refused
	t.warnings += o.warnings
	t.unread += o.unread
	t.bytes += o.bytes
}

func (t *tally) summary(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "%s, %d refused, %s, %.1f MB/s\n",
		counted(t.resources, "resource"), t.refused, counted(t.warnings, "warning"), rate(t.bytes, took)/1e6)
}

// counted is a number and what it counts.
func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// verdict is the exit code: what a hub would refuse is refused here too.
func (t *tally) verdict() error {
	switch {
	case t.unread > 0:
		return usageError{fmt.Errorf("%s could not be read", counted(t.unread, "file"))}
	case t.refused > 0:
		return fault.New(fault.Invalid, fmt.Sprintf("%d of %d refused", t.refused, t.resources))
	}
	return nil
}
