package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newRx(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "rx",
		Short: "Look at prescriptions without opening them: show, list",
		Long: `Look at how prescriptions stand: state, holder, claim, lease, fills, history. Nothing is decrypted and
no key is needed, so nothing clinical and nobody's name is shown but those of organisations. Both ask
the running hub, or open the records database when none runs. docs/prescription.md tells what the
words mean.`,
		Example: "  dosewire rx show 01920000-0000-7000-8000-000000000001\n  dosewire rx list --due",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newRxShow(g), newRxList(g))
	return c
}

// withRx runs do with the running hub, or with the records database if no hub runs.
func withRx(ctx context.Context, g *globals, do func(admin.RxService) error) (err error) {
	c, err := g.load()
	if err != nil {
		return err
	}
	client := admin.NewClient(c.AdminSocket())
	if client.Running(ctx) {
		return do(client)
	}
	desk, err := hub.OpenRxDesk(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	return do(desk)
}

func newRxShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show how a prescription stands and how it came to that",
		Long: `Show one prescription by its id at the hub (Rx-Id): state, business status, holder, claim, lease, fills,
what is left of a fill handed over in part, warnings given, the pharmacies' dispenses, and every change
with the ledger entry of the message that brought it. Messages that were refused changed nothing and
are not in the list. Times are UTC.`,
		Example: "  dosewire rx show 01920000-0000-7000-8000-000000000001\n  dosewire rx show 01920000-0000-7000-8000-000000000001 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRx(cmd.Context(), g, func(s admin.RxService) error {
				p, err := s.Prescription(cmd.Context(), admin.PrescriptionOf{ID: args[0]})
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), p, func(w io.Writer) { showRx(w, p) })
			})
		},
	}
}

func newRxList(g *globals) *cobra.Command {
	q := admin.PrescriptionsOf{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List an organisation's prescriptions, or those that time changes",
		Long: `List the prescriptions that an organisation issued or was sent, newest first, or those whose time has
come (a lease or a validity that ends, a warning), the longest due first.`,
		Example: "  dosewire rx list --org 01920000-0000-7000-8000-000000000002\n  dosewire rx list --due --within 24h --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (q.Org == "") != q.Due {
				return usageError{errors.New("one of --org and --due is needed")}
			}
			if q.Limit < 1 || q.Within < 0 {
				return usageError{errors.New("--limit is at least 1, and --within is not negative")}
			}
			return withRx(cmd.Context(), g, func(s admin.RxService) error {
				all, err := s.Prescriptions(cmd.Context(), q)
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), all, func(w io.Writer) { listRx(w, all) })
			})
		},
	}
	f := c.Flags()
	f.StringVar(&q.Org, "org", "", "`id` of an organisation: what it issued or was sent")
	f.StringVar(&q.Before, "before", "", "with --org: begin behind this `id`, the last of the page before")
	f.BoolVar(&q.Due, "due", false, "what time changes, now or within --within")
	f.DurationVar(&q.Within, "within", 0, "with --due: look this far ahead")
	f.IntVar(&q.Limit, "limit", 100, "at most so many")
	return c
}

func listRx(w io.Writer, all []admin.PrescriptionLine) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s\t%d/%d\t%s\t%s\t%s\n", p.ID, p.State, p.Filled, p.Fills, clock(p.Due), nameOf(&p.Clinic), nameOf(first(p.Holder, p.Pharmacy)))
	}
	_ = t.Flush() // w reports nothing
}

func showRx(w io.Writer, p admin.Prescription) {
	fmt.Fprintf(w, "prescription %s, version %d\n", p.ID, p.Version)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"state", p.State + covered(p)},
		{"patient reads", p.Business},
		{"Task", strings.TrimSpace(p.Task + " " + p.Reason)},
		{"clinic", nameOf(&p.Clinic)},
		{"pharmacy", nameOf(p.Pharmacy)},
		{"holder", nameOf(p.Holder)},
		{"claim", positive(int(p.Claim))},
		{"lease ends", clock(p.LeaseEnd)},
		{"fills", fmt.Sprintf("%d of %d done", p.Filled, p.Fills)},
		{"handed over in part", positive(p.Parts)},
		{"balance", p.Balance},
		{"valid from", clock(p.ValidFrom)},
		{"valid until", clock(p.ValidTo)},
		{"due", clock(p.Due)},
		{"declined by", names(p.Declined)},
		{"replaced by", p.ReplacedBy},
		{"marks", strings.Join(marks(p), ", ")},
		{"warned", strings.Join(p.Warnings, ", ")},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "  %s\t%s\n", row[0], row[1])
		}
	}
	_ = t.Flush() // w reports nothing
	for _, d := range p.Dispenses {
		fmt.Fprintf(w, "  dispense %s  %s, claim %d, %s\n", d.ID, d.Status, d.Claim, nameOf(&d.Pharmacy))
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  version\tentry\ttime\tmessage\tby\tstate\tcode")
	for _, e := range p.History {
		by := nameOf(e.By)
		if by == "" {
			by = "–"
		}
		fmt.Fprintf(t, "  %d\t%d\t%s\t%s\t%s\t%s\t%s\n", e.Version, e.Index, clock(&e.Time), e.Kind, by, e.State, e.Code)
	}
	_ = t.Flush() // w reports nothing
}

// covered names the phase beneath a hold or a pending cancel.
func covered(p admin.Prescription) string {
	if p.State == p.Phase {
		return ""
	}
	return " (" + p.Phase + ")"
}

// marks are what sets a prescription apart.
func marks(p admin.Prescription) (all []string) {
	for _, m := range []struct {
		is   bool
		word string
	}{{p.Urgent, "urgent"}, {p.Directed, "prescriber-directed"}, {p.RecordOnly, "recorded only"}, {p.Ended, "no further fills"}, {p.CollectCode, "collect code given"},
		{p.CodeTries > 0, fmt.Sprintf("wrong collect code %d times", p.CodeTries)}, {p.Short != "", "not all is ready"}} {
		if m.is {
			all = append(all, m.word)
		}
	}
	return all
}

func nameOf(n *admin.Name) string {
	switch {
	case n == nil:
		return ""
	case n.Name == "":
		return n.ID
	}
	return n.Name
}

func names(all []admin.Name) string {
	texts := make([]string, len(all))
	for i := range all {
		texts[i] = nameOf(&all[i])
	}
	return strings.Join(texts, ", ")
}

func first(a, b *admin.Name) *admin.Name {
	if a != nil {
		return a
	}
	return b
}

func clock(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
