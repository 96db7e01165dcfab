package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newOrg(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "org",
		Short:   "Add and list clinics and pharmacies",
		Example: "  dosewire org add pharmacy \"Old Bridge Pharmacy\" --identifier 'http://hl7.org/fhir/sid/us-npi|1558203947'\n  dosewire org list",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newOrgAdd(g), newOrgSignature(g), newOrgList(g))
	return c
}

func newOrgAdd(g *globals) *cobra.Command {
	var o admin.NewOrganization
	var save, anchors string
	c := &cobra.Command{
		Use:   "add clinic|pharmacy NAME",
		Short: "Record an organisation and make its credential",
		Long: `Record an organisation with one client, and print how to connect. The hub must be running.

The token is shown this once; the hub keeps its hash. A prescription reaches a pharmacy by
the identifiers given here (NPI, NCPDP, ODS, HPI-O …), written system|value.

With --signature record the hub judges prescribers' signatures and records the verdict; with
--signature require it refuses what is not signed by somebody whose certificate leads to a
--trust-anchor (docs/signatures.md).`,
		Example: `  dosewire org add clinic "Riverside Practice" --save clinic.json
  dosewire org add pharmacy "Old Bridge Pharmacy" \
      --identifier 'http://hl7.org/fhir/sid/us-npi|1558203947' --save pharmacy.json
  dosewire org add clinic "Northgate Heart Clinic" --trust-anchor northgate-ca.pem --signature require`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Kind, o.Name = args[0], args[1]
			if o.Kind != "clinic" && o.Kind != "pharmacy" {
				return usageError{fmt.Errorf("%q is neither clinic nor pharmacy", o.Kind)}
			}
			var err error
			if o.Anchors, err = readAnchors(anchors); err != nil {
				return err
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			keep, err := reserve(save) // before there is a token that could be lost
			if err != nil {
				return err
			}
			cred, err := op.AddOrganization(cmd.Context(), o)
			if fault.KindOf(err) == fault.Invalid {
				err = usageError{err}
			}
			if err != nil {
				return errors.Join(err, keep.abandon())
			}
			if err := keep.save(cred); err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), cred, func(w io.Writer) { explain(w, cred, save) })
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.Identifiers, "identifier", nil, "business identifier, `system|value`; may be repeated")
	f.StringArrayVar(&o.Intents, "intent", nil, "fillable `intent` beside order and original-order; may be repeated")
	f.BoolVar(&o.Sandbox, "sandbox", false, "reaches only other sandbox organisations")
	f.StringVar(&o.Signature, "signature", "", "what to do with prescribers' signatures: `off`, record or require")
	f.StringVar(&anchors, "trust-anchor", "", "PEM `file` of the certificates that signers' certificates must lead to")
	f.StringVar(&save, "save", "", "write the credential to `file` (mode 0600), for --as")
	return c
}

func explain(w io.Writer, c admin.Credential, saved string) {
	fmt.Fprintf(w, "%s %q is recorded.\n\n  organisation  %s\n  client        %s\n", c.Kind, c.Name, c.Org, c.User)
	if saved != "" {
		fmt.Fprintf(w, "  credential    %s\n\n", saved)
		fmt.Fprintf(w, "Send:     dosewire send FILE --as %s\nReceive:  dosewire receive --as %s --ack\n", saved, saved)
		return
	}
	fmt.Fprintf(w, "  token         %s\n\nThe token is shown this once.\n\n", c.Token)
	fmt.Fprintf(w, "REST:  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/fhir+json' \\\n         --data-binary @FILE %s/fhir/%s\n",
		c.Token, c.URL, map[string]string{"clinic": "MedicationRequest", "pharmacy": "MedicationDispense"}[c.Kind])
	fmt.Fprintf(w, "NATS:  nats --server %s --user %s --password TOKEN --inbox-prefix _INBOX_%s \\\n         consumer next RX_DELIVERY org-%s\n", c.NATS, c.User, c.Org, c.Org)
}

func newOrgList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the organisations",
		Example: "  dosewire org list\n  dosewire org list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			op, err := g.operator()
			if err != nil {
				return err
			}
			all, err := op.Organizations(cmd.Context())
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), all, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, o := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.ID, o.Kind, o.Name, signatures(o), strings.Join(o.Identifiers, " "))
				}
				_ = t.Flush() // w reports nothing
			})
		},
	}
}
