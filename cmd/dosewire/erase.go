package main

import (
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// whom are the flags that name a patient of an organisation.
type whom struct {
	org, as, identifier string
}

func (w *whom) flags(c *cobra.Command, flag string) {
	f := c.Flags()
	f.StringVar(&w.org, "org", "", "`id` of the organisation that knows the patient")
	f.StringVar(&w.as, "as", "", "credential `file` of that organisation, instead of --org")
	f.StringVar(&w.identifier, flag, "", "`system|value`, or the organisation's own id of the patient")
}

// organisation is the one that --org or --as names.
func (w *whom) organisation() (string, error) {
	if w.as != "" {
		cred, err := loadCredential(w.as)
		return cred.Org, err
	}
	if w.org == "" {
		return "", usageError{fmt.Errorf("one of --org and --as is needed")}
	}
	return w.org, nil
}

func (w *whom) patient(flag string) (admin.Patient, error) {
	org, err := w.organisation()
	if err != nil {
		return admin.Patient{}, err
	}
	if w.identifier == "" {
		return admin.Patient{}, usageError{fmt.Errorf("--%s is needed", flag)}
	}
	return patientOf(org, w.identifier), nil
}

// patientOf reads system|value; the last bar divides.
func patientOf(org, identifier string) admin.Patient {
	who := admin.Patient{Org: org, Value: identifier}
	if i := strings.LastIndexByte(identifier, '|'); i >= 0 {
		who.System, who.Value = identifier[:i], identifier[i+1:]
	}
	return who
}

// operatorName is who asks, for the record.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func newErase(g *globals) *cobra.Command {
	var w whom
	var q admin.EraseRequest
	c := &cobra.Command{
		Use:   "erase",
		Short: "Erase a patient: the records are emptied, their keys deleted, the streams purged",
		Long: `Erase everything of one patient, for ever. The ledger keeps an entry that says so, and verifies
as before; reading what was erased answers 410. Refused messages of the patient go too.

It is refused (exit code 3) while a legal hold stands (RX_LEGAL_HOLD), and during the
retention period after the patient's newest record (RX_RETENTION) unless the words are said.
The refusal is on record as well. Name nobody in --reason: it is kept under the hub's key.

Copies in backups end with the backups of the key database: see docs/erasure.md.`,
		Example: `  dosewire erase --as clinic.json --patient 'https://riverside.example/mrn|RF-11873' --dry-run
  dosewire erase --as clinic.json --patient 'https://riverside.example/mrn|RF-11873' --reason 'request of 3 May, art. 17 GDPR'
  dosewire erase --org 0199… --patient pat-7 --reason 'court order' --force-before-retention 'the law demands it'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			who, err := w.patient("patient")
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
			bar := newProgress(cmd.ErrOrStderr(), g.json)
			if !q.DryRun {
				bar.show("erasing", 0, 0)
			}
			e, err := op.Erase(cmd.Context(), q)
			bar.clear()
			if err != nil {
				return err
			}
			if err := g.print(cmd.OutOrStdout(), e, func(w io.Writer) { explainErasure(w, e) }); err != nil {
				return err
			}
			switch {
			case e.Refused != "":
				return fault.Of(fault.Code(e.Refused))
			case !e.DryRun && !e.Finished:
				return fault.New(fault.Unavailable, "erased; keys or streams are still being purged, and the hub goes on with it")
			}
			return nil
		},
	}
	w.flags(c, "patient")
	f := c.Flags()
	f.StringVar(&q.Reason, "reason", "", "legal basis, `text`; no names")
	f.BoolVar(&q.DryRun, "dry-run", false, "say what would be erased and what forbids it; nothing is recorded")
	f.StringVar(&q.Force, "force-before-retention", "", "the `words` \"the law demands it\", to erase before the retention period ends")
	return c
}

func explainErasure(w io.Writer, e admin.Erasure) {
	verb := "Erased"
	switch {
	case e.Refused != "":
		verb = "Not erased"
	case e.DryRun:
		verb = "Would be erased"
	}
	fmt.Fprintf(w, "%s: %d records, %d prescriptions, %d dispenses, %d devices, %d refused messages.\n", verb,
		e.Records, e.Prescriptions, e.Dispenses, e.Devices, e.Quarantined)
	if !e.RetainedUntil.IsZero() {
		fmt.Fprintf(w, "  retention period ends  %s\n", e.RetainedUntil.Format("2006-01-02"))
	}
	for _, id := range e.Holds {
		fmt.Fprintf(w, "  legal hold             %s\n", id)
	}
	if e.Entry != nil {
		fmt.Fprintf(w, "  ledger entry           #%d\n", *e.Entry)
	}
	if e.Finished {
		fmt.Fprintf(w, "  keys deleted, streams purged\n")
	}
}

func newHold(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "hold",
		Short:   "Place, end and list legal holds: what they cover cannot be erased",
		Example: "  dosewire hold add --as clinic.json --patient 'https://riverside.example/mrn|RF-11873' --reason 'case 4711'\n  dosewire hold list",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newHoldAdd(g), newHoldRemove(g), newHoldList(g))
	return c
}

func newHoldAdd(g *globals) *cobra.Command {
	var w whom
	var reason string
	c := &cobra.Command{
		Use:   "add",
		Short: "Forbid the erasure of a patient, or of every patient of an organisation",
		Example: `  dosewire hold add --as clinic.json --patient 'https://riverside.example/mrn|RF-11873' --reason 'case 4711'
  dosewire hold add --org 0199… --reason 'audit of 2026'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, err := w.organisation()
			if err != nil {
				return err
			}
			n := admin.NewHold{Patient: admin.Patient{Org: org}, Reason: reason, By: operatorName()}
			if w.identifier != "" {
				n.Patient = patientOf(org, w.identifier)
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			h, err := op.AddHold(cmd.Context(), n)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), h, func(w io.Writer) { fmt.Fprintf(w, "%s\nIt stands until dosewire hold remove %s\n", h.ID, h.ID) })
		},
	}
	w.flags(c, "patient")
	c.Flags().StringVar(&reason, "reason", "", "why, `text`; no names")
	return c
}

func newHoldRemove(g *globals) *cobra.Command {
	var r admin.HoldRelease
	c := &cobra.Command{
		Use:     "remove ID",
		Short:   "End a legal hold",
		Example: "  dosewire hold remove 0199… --reason 'case closed'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.ID, r.By = args[0], operatorName()
			op, err := g.operator()
			if err != nil {
				return err
			}
			h, err := op.RemoveHold(cmd.Context(), r)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), h, func(w io.Writer) { fmt.Fprintf(w, "The hold has ended, ledger entry #%d.\n", *h.Entry) })
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, `text`; no names")
	return c
}

func newHoldList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the legal holds that stand, with their reasons; the reading is on record",
		Example: "  dosewire hold list\n  dosewire hold list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			op, err := g.operator()
			if err != nil {
				return err
			}
			all, err := op.Holds(cmd.Context(), admin.HoldQuery{By: operatorName()})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), all, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, h := range all {
					covers := "patient " + h.Patient
					if h.Patient == "" {
						covers = "all of " + h.Org
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", h.ID, h.Since.Format("2006-01-02"), covers, h.Reason)
				}
				_ = t.Flush() // w reports nothing
			})
		},
	}
}

func newPatientRequest(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "request",
		Short: "Record and list what patients ask for: amendment, restriction",
		Long: `Record a patient's request for amendment (45 CFR 164.526) or restriction (45 CFR 164.522), in
their words, sealed under the patient's key. It changes nothing by itself.`,
		Example: `  dosewire patient request amendment 'the dose was 5 mg' --as clinic.json --identifier 'https://riverside.example/mrn|RF-11873'
  dosewire patient request list --as clinic.json --identifier 'https://riverside.example/mrn|RF-11873'`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(newPatientAsk(g, "amendment"), newPatientAsk(g, "restriction"), newPatientRequests(g))
	return c
}

func newPatientAsk(g *globals, kind string) *cobra.Command {
	var w whom
	c := &cobra.Command{
		Use:     kind + " TEXT",
		Short:   "Record a request for " + kind,
		Example: "  dosewire patient request " + kind + " 'what is asked for' --as clinic.json --identifier pat-7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := w.patient("identifier")
			if err != nil {
				return err
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			r, err := op.AddPatientRequest(cmd.Context(), admin.NewPatientRequest{Patient: who, Kind: kind, Text: args[0], By: operatorName()})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { fmt.Fprintf(w, "%s\nRecorded, ledger entry #%d.\n", r.ID, *r.Entry) })
		},
	}
	w.flags(c, "identifier")
	return c
}

func newPatientRequests(g *globals) *cobra.Command {
	var w whom
	c := &cobra.Command{
		Use:     "list",
		Short:   "List a patient's requests; the reading is on record",
		Example: "  dosewire patient request list --as clinic.json --identifier pat-7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			who, err := w.patient("identifier")
			if err != nil {
				return err
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			all, err := op.PatientRequests(cmd.Context(), admin.PatientRequestQuery{Patient: who, By: operatorName()})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), all, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, r := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.ID, r.Time.Format("2006-01-02"), r.Kind, r.Text)
				}
				_ = t.Flush() // w reports nothing
			})
		},
	}
	w.flags(c, "identifier")
	return c
}
