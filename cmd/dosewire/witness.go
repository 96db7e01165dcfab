package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
)

func newWitness(g *globals) *cobra.Command {
	var o hub.WitnessOptions
	var proxied bool
	c := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of other people's ledgers",
		Long: `Serve C2SP tlog-witness: POST /add-checkpoint. The logs of the policy get a cosignature with the
time for every checkpoint that continues the one before; anything else is answered 409 or 422, and
both signed notes are kept in the folder under evidence. It knows nothing of what a ledger holds.
Run it for somebody else's ledger: a witness of one's own proves little.`,
		Example: `  dosewire witness --name witness.example/w1 --policy logs.txt --dir /var/lib/witness
  dosewire witness --name witness.example/w1 --policy logs.txt --listen 0.0.0.0:8443 --tls-certificate cert.pem --tls-key key.pem
  dosewire witness key --name witness.example/w1`,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if o.Name == "" {
				return usageError{fault.New(fault.Invalid, "a witness needs a name: --name witness.example/w1")}
			}
			if o.Key == "" {
				o.Key = filepath.Join(o.Folder, "key")
			}
			if proxied {
				o.Plaintext = "behind-tls-proxy"
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			o.Log = cmd.ErrOrStderr()
			o.Ready = func(address string) {
				_ = g.print(cmd.OutOrStdout(), map[string]string{"address": address}, func(w io.Writer) { // who reads it has gone
					fmt.Fprintf(w, "witness %s listens on %s\n", o.Name, address)
				})
			}
			return hub.ServeWitness(cmd.Context(), c, o)
		},
	}
	p := c.PersistentFlags()
	p.StringVar(&o.Name, "name", "", "`name` of the key: a URL without scheme")
	p.StringVar(&o.Folder, "dir", "witness", "folder for key, state and evidence")
	p.StringVar(&o.Key, "key", "", "key `file`, made on first use; default key in the folder")
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8081", "`address` to listen on")
	c.Flags().StringVar(&o.Policy, "policy", "", "C2SP tlog-policy `file`; its log lines are the ledgers to cosign")
	c.Flags().StringVar(&o.TLS.Certificate, "tls-certificate", "", "PEM `file`, leaf first")
	c.Flags().StringVar(&o.TLS.Key, "tls-key", "", "PEM `file`")
	c.Flags().BoolVar(&proxied, "behind-tls-proxy", false, "traffic may come in clear from a proxy on another machine")
	c.AddCommand(&cobra.Command{
		Use:     "key",
		Short:   "Print the verifier key of the witness, for policies",
		Example: "  dosewire witness key --name witness.example/w1 --dir /var/lib/witness",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := o.WitnessKey()
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"vkey": k.VKey}, func(w io.Writer) { fmt.Fprintln(w, k.VKey) })
		},
	})
	return c
}
