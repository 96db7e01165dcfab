package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newReceipt(g *globals) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "receipt ID",
		Short: "Prove that a prescription or a record is in the signed ledger",
		Long: `Write the receipt (C2SP tlog-proof) of a prescription, or of the record with this id: its entry, its
place in the tree, and the checkpoint that the notary and its witnesses signed. Anybody can judge it
offline with dosewire verify --receipt.

An operator's receipt is about the entry alone and discloses nothing of the record. One that the
message itself can be compared with is given to those who may read it: GET
/fhir/MedicationRequest/ID/$receipt, and the patient's inbox.

Exit code 4 means that no checkpoint covers the record yet: try again.`,
		Example: "  dosewire receipt 01920000-0000-7000-8000-000000000001 --out rx.tlog-proof",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			q := admin.ReceiptOf{ID: args[0]}
			r, err := admin.NewClient(c.AdminSocket()).Receipt(cmd.Context(), q)
			if errors.Is(err, admin.ErrNotRunning) {
				r, err = hub.StoreReceipt(cmd.Context(), c, q)
			}
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, []byte(r.Text), 0o644); err != nil {
					return usageError{err}
				}
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				if out == "" {
					fmt.Fprint(w, r.Text)
					return
				}
				fmt.Fprintf(w, "Receipt of entry %d: %s\n", r.Index, out)
			})
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "write it to this `file`")
	return c
}
