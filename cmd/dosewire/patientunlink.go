package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newPatientUnlink(g *globals) *cobra.Command {
	var w whom
	var q admin.UnlinkRequest
	c := &cobra.Command{
		Use:   "unlink",
		Short: "Part a patient from the records of other organisations that were joined by mistake",
		Long: `Part a patient from all other organisations' records that share an inbox with theirs, for
example when two different people were joined. Patients join and part records in their inbox by
themselves; this is the repair. It acts at once: neither side sees or hears of the other any more.

The reason is kept in the ledger under the hub's key: name nobody in it. No organisation is told,
neither that records were joined nor that they were parted: see docs/linking.md.`,
		Example: `  dosewire patient unlink --as clinic.json --identifier 'https://riverside.example/mrn|RF-11873' --dry-run
  dosewire patient unlink --as clinic.json --identifier 'https://riverside.example/mrn|RF-11873' --reason 'two people, ticket 4711'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			who, err := w.patient("identifier")
			if err != nil {
				return err
			}
			if q.Reason == "" && !q.DryRun {
				return usageError{fmt.Errorf("--reason is needed")}
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			q.Patient, q.By = who, operatorName()
			u, err := op.Unlink(cmd.Context(), q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), u, func(w io.Writer) { explainUnlinked(w, u) })
		},
	}
	w.flags(c, "identifier")
	f := c.Flags()
	f.StringVar(&q.Reason, "reason", "", "why, `text`; no names")
	f.BoolVar(&q.DryRun, "dry-run", false, "say with how many others the patient is joined; nothing is recorded")
	return c
}

func explainUnlinked(w io.Writer, u admin.Unlinked) {
	others := fmt.Sprintf("%d other records", u.Others)
	if u.Others == 1 {
		others = "1 other record"
	}
	switch {
	case u.Others == 0:
		fmt.Fprintln(w, "This patient is joined with nobody.")
	case u.DryRun:
		fmt.Fprintf(w, "This patient would be parted from %s.\n", others)
	default:
		fmt.Fprintf(w, "Parted from %s, ledger entry #%d.\n", others, *u.Entry)
	}
}
