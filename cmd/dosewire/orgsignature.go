package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/hub/admin"
)

func newOrgSignature(g *globals) *cobra.Command {
	var p admin.SignaturePolicy
	var anchors string
	c := &cobra.Command{
		Use:   "signature ORGANISATION off|record|require",
		Short: "Change what is asked of an organisation's signatures",
		Long: `Change what the hub does with the signatures of an organisation's prescribers: nothing (off), judge
them and record the verdict (record), or refuse what is not signed well (require).

The change is recorded and holds for every message behind it. --trust-anchor replaces the trust
anchors; without it those that are set stay.`,
		Example: `  dosewire org signature 0199f0a2-3c1e-7b52-9d3f-5f6c2a7e8b10 record --trust-anchor northgate-ca.pem
  dosewire org signature 0199f0a2-3c1e-7b52-9d3f-5f6c2a7e8b10 require`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p.Org, p.Policy = args[0], args[1]
			if p.Anchors, err = readAnchors(anchors); err != nil {
				return err
			}
			op, err := g.operator()
			if err != nil {
				return err
			}
			o, err := op.SetSignature(cmd.Context(), p)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), o, func(w io.Writer) {
				fmt.Fprintf(w, "%s %q: %s\n", o.Kind, o.Name, signatures(o))
				for _, a := range o.Anchors {
					fmt.Fprintf(w, "  %s  until %s  %s\n", a.SHA256, a.Until.Format(time.DateOnly), a.Subject)
				}
			})
		},
	}
	c.Flags().StringVar(&anchors, "trust-anchor", "", "PEM `file` of the certificates that signers' certificates must lead to")
	return c
}

// readAnchors reads a file of certificates; the hub judges what is in it.
func readAnchors(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", usageError{fmt.Errorf("--trust-anchor: %w", err)}
	}
	return string(text), nil
}

// signatures is an organisation's policy in words.
func signatures(o admin.Organization) string {
	if o.Signature == "" {
		return "signatures off"
	}
	return "signatures " + o.Signature
}
