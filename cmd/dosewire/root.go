package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// globals are the flags of every command.
type globals struct {
	config string
	data   string
	json   bool
}

func newRoot() *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "dosewire",
		Short: "Carry prescriptions from clinics to pharmacies and phones, recorded",
		Long: `dosewire carries FHIR prescriptions from clinics to pharmacies, tells the patient's
phone, and records everything in an encrypted, hash-chained ledger.

Exit codes: 0 done, 1 internal error, 2 wrong usage or configuration, 3 refused,
4 unavailable (try again), 5 tampered data found, 130 interrupted.`,
		Example: `  dosewire serve
  dosewire org add clinic "Riverside Practice" --save clinic.json
  dosewire send prescription.json --as clinic.json
  dosewire verify`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	f := root.PersistentFlags()
	f.StringVarP(&g.config, "config", "c", os.Getenv("DOSEWIRE_CONFIG"), "configuration `file` (YAML); also DOSEWIRE_CONFIG")
	f.StringVar(&g.data, "data", "", "data `folder`; wins over the configuration")
	f.BoolVar(&g.json, "json", false, "print results as JSON, one object a line")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServe(g),
		newDemo(g),
		newOrg(g),
		newPatient(g),
		newErase(g),
		newHold(g),
		newSend(g),
		newReceive(g),
		newValidate(g),
		newVerify(g),
		newRebuild(g),
		newReceipt(g),
		newNotary(g),
		newWitness(g),
		newKeys(g),
		newStatus(g),
		newHealth(g),
		newMigrate(g),
		newVersion(g),
	)
	for _, c := range root.Commands() {
		strictArgs(c)
	}
	return root
}

// strictArgs makes wrong arguments usage errors, here and in subcommands.
func strictArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%w (see dosewire %s --help)", err, c.Name())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
}

// load reads the configuration.
func (g *globals) load() (hub.Config, error) {
	environ := os.Environ()
	if g.data != "" {
		environ = append(environ, "DOSEWIRE_DATA="+g.data) // the last one wins
	}
	c, err := hub.Load(g.config, environ)
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// operator is a client of the running hub.
func (g *globals) operator() (*admin.Client, error) {
	c, err := g.load()
	if err != nil {
		return nil, err
	}
	return admin.NewClient(c.AdminSocket()), nil
}

// print writes v as one line of JSON with --json, else calls text.
func (g *globals) print(w io.Writer, v any, text func(io.Writer)) error {
	if !g.json {
		text(w)
		return nil
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
