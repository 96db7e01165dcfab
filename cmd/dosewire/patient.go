package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newPatient(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "patient",
		Short:   "Invite patients to their inbox; record what they ask for; part records joined by mistake",
		Example: "  dosewire patient invite --org ORG --identifier 'https://riverside.example/mrn|RF-11873'",
		Args:    cobra.NoArgs,
	}
	c.AddCommand(newPatientInvite(g), newPatientRequest(g), newPatientUnlink(g))
	return c
}

func newPatientInvite(g *globals) *cobra.Command {
	var w whom
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
			who, err := w.patient("identifier")
			if err != nil {
				return err
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
	w.flags(c, "identifier")
	return c
}
