package main

import (
	"cmp"
	"encoding/json"
	"errors"
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
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVarP(&g.config, "config", "c", os.Getenv("DOSEWIRE_CONFIG"), "configuration `file` (YAML); also DOSEWIRE_CONFIG")
	f.StringVar(&g.data, "data", "", "data `folder`; wins over the configuration")
	f.BoolVar(&g.json, "json", false, "print results as JSON, one value a line")
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
		newRx(g),
		newNotary(g),
		newWitness(g),
		newKeys(g),
		newStatus(g),
		newHealth(g),
		newMigrate(g),
		newVersion(g),
	)
	strictArgs(root)
	return root
}

// strictArgs makes wrong arguments usage errors, here and in subcommands. A command that only holds
// others does nothing by itself: that too is wrong usage, with its help.
func strictArgs(c *cobra.Command) {
	if !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error {
			return errors.Join(c.Help(), usageError{fmt.Errorf("%s needs a command", c.CommandPath())})
		}
	}
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		// flags that are missing or do not go together too: cobra tells them last, as plain errors
		if err := cmp.Or(check(c, args), c.ValidateRequiredFlags(), c.ValidateFlagGroups()); err != nil {
			return usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
		}
		return nil
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
