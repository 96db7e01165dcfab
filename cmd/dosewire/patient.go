package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newPatient(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "patient",
		Short:   "Invite patients to their inbox",
		Example: "  dosewire patient invite --org ORG --identifier 'https://riverside.example/mrn|RF-11873'",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newPatientInvite(g))
	return c
}

func newPatientInvite(g *globals) *cobra.Command {
	var who admin.Patient
	var as, identifier string
	c := &cobra.Command{
		Use:   "invite",
		Short: "Make a one-time link to a patient's inbox",
		Long: `Make a link that signs a patient in once, within seven days. Hand it over in person.

The patient is named as the organisation names them: by identifier, or by its own id.
The organisation must have sent something about them before.`,
		Example: `  dosewire patient invite --as clinic.json --identifier 'https://riverside.example/mrn|RF-11873'
  dosewire patient invite --org 0199… --identifier pat-7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if as != "" {
				cred, err := loadCredential(as)
				if err != nil {
					return err
				}
				who.Org = cred.Org
			}
			if who.Org == "" || identifier == "" {
				return usageError{fmt.Errorf("--identifier and one of --org and --as are needed")}
			}
			who.Value = identifier
			if i := strings.LastIndexByte(identifier, '|'); i >= 0 {
				who.System, who.Value = identifier[:i], identifier[i+1:]
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			link, err := op.Invite(cmd.Context(), who)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), link, func(w io.Writer) {
				fmt.Fprintf(w, "%s\n\nIt works once, until %s.\n", link.URL, link.Until.Local().Format("2 January 15:04"))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&who.Org, "org", "", "`id` of the organisation that knows the patient")
	f.StringVar(&as, "as", "", "credential `file` of that organisation, instead of --org")
	f.StringVar(&identifier, "identifier", "", "`system|value`, or the organisation's own id")
	return c
}
