package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub"
)

func newMigrate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Make both databases, or bring them to this version's schema",
		Long: `Make the records database and the key database, or bring them to this version's schema.
It does nothing when they have it, and refuses a newer one. With PostgreSQL run it as the
owner of the databases, who may make roles (CREATEROLE) the first time. The hub itself needs fewer
rights: grant its login the roles dosewire_hub and dosewire_keys, which this makes.`,
		Example: `  dosewire migrate
  DATABASE_URL=postgres://owner@db/records DOSEWIRE_STORE_KEYS_DSN=postgres://owner@db/keys dosewire migrate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			if err := hub.Migrate(cmd.Context(), c); err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]bool{"migrated": true}, func(w io.Writer) {
				fmt.Fprintln(w, "both databases have this version's schema")
			})
		},
	}
}
