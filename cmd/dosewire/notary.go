package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// notaryFlags win over the configuration.
type notaryFlags struct {
	dsn, folder, key, policy, origin, listen string
	interval                                 time.Duration
	once                                     bool
}

func newNotary(g *globals) *cobra.Command {
	var f notaryFlags
	c := &cobra.Command{
		Use:   "notary",
		Short: "Watch a ledger, sign its checkpoints and publish its tiles",
		Long: `Read the entries of a ledger's database, which needs read rights alone, check that they continue
what was seen before, and publish signed checkpoints and tiles (C2SP tlog-tiles) in a folder,
or in S3 (notary.s3 of the configuration); the key may be in AWS KMS (notary.kms).
Witnesses of the policy cosign them. Run it apart from the hub, with a role, a key and a machine
of its own; then set notary.apart for the hub. dosewire serve runs one inside otherwise.

A ledger that was set back or rewritten is refused by name: rollback, rewrite, gap, clock, fork.
With --once, exit code 5 means that.`,
		Example: `  dosewire notary --dsn postgres://notary@db/records --origin rx.example/log --dir /var/lib/notary --policy policy.txt
  dosewire notary --once --json
  dosewire notary key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load(g)
			if err != nil {
				return err
			}
			var failed error
			tell := func(s notary.Status) {
				if err := g.print(cmd.OutOrStdout(), statusOf(s), func(w io.Writer) { writeStatus(w, s) }); err != nil {
					failed = err
				}
			}
			err = hub.Notarize(cmd.Context(), c, hub.NotaryOptions{Once: f.once, Listen: f.listen, Log: cmd.ErrOrStderr(), Version: version(), Status: tell})
			if err == nil {
				err = failed
			}
			return err
		},
	}
	p := c.PersistentFlags()
	p.StringVar(&f.folder, "dir", "", "folder for state, key and tiles; default notary in the data folder")
	p.StringVar(&f.key, "key", "", "key `file`, made on first use; default key in the folder")
	p.StringVar(&f.origin, "origin", "", "origin `line` of the ledger; default that of the configuration")
	c.Flags().StringVar(&f.dsn, "dsn", "", "PostgreSQL `URL` of the records database; default the configuration's")
	c.Flags().StringVar(&f.policy, "policy", "", "C2SP tlog-policy `file` with witnesses and quorum; default trust.policy in the folder, made on first use")
	c.Flags().StringVar(&f.listen, "listen", "", "loopback `address` for /livez, /readyz and /metrics")
	c.Flags().DurationVar(&f.interval, "interval", 0, "time between two looks at the ledger; default 1s")
	c.Flags().BoolVar(&f.once, "once", false, "look once, sign what is new, and end")
	c.AddCommand(newNotaryKey(g, &f))
	return c
}

func newNotaryKey(g *globals, f *notaryFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "key",
		Short:   "Print the verifier key of the checkpoints, for policies",
		Example: "  dosewire notary key\n  dosewire notary key --dir /var/lib/notary --origin rx.example/log --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load(g)
			if err != nil {
				return err
			}
			k, err := hub.NotaryKey(cmd.Context(), c)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"vkey": k.VKey}, func(w io.Writer) { fmt.Fprintln(w, k.VKey) })
		},
	}
}

func (f notaryFlags) load(g *globals) (hub.Config, error) {
	c, err := g.load()
	if err != nil {
		return c, err
	}
	if f.interval < 0 {
		return c, usageError{fault.New(fault.Invalid, "the interval is negative")}
	}
	if f.folder != "" {
		n := &c.Notary
		n.Folder, n.Key, n.Policy, n.Tiles = f.folder, "", "", ""
	}
	for flag, field := range map[*string]*string{&f.dsn: &c.Store.DSN, &f.origin: &c.Ledger.Origin, &f.policy: &c.Notary.Policy, &f.key: &c.Notary.Key} {
		if *flag != "" {
			*field = *flag
		}
	}
	if f.interval > 0 {
		c.Notary.Interval = f.interval
	}
	return c.WithDefaults(), nil
}

// notaryStatus is one line of --json.
type notaryStatus struct {
	Size      uint64     `json:"size"`
	Published uint64     `json:"published"`
	Root      string     `json:"root,omitempty"`
	Unsigned  float64    `json:"unsignedSeconds"`
	Cosigned  []cosigned `json:"cosigned,omitempty"`
	Alarm     string     `json:"alarm,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

type cosigned struct {
	Witness string    `json:"witness"`
	Time    time.Time `json:"time"`
}

func statusOf(s notary.Status) notaryStatus {
	v := notaryStatus{Size: s.Size, Published: s.Published, Unsigned: s.Unsigned.Seconds(), Alarm: s.Alarm, Root: rootOf(s)}
	if s.Err != nil {
		v.Reason = s.Err.Error()
	}
	for _, w := range s.Cosigned {
		v.Cosigned = append(v.Cosigned, cosigned{w.Witness, w.Time})
	}
	return v
}

func rootOf(s notary.Status) string {
	text, _, _ := strings.Cut(string(s.Checkpoint), "\n\n")
	c, err := trust.ParseCheckpoint(text + "\n")
	if err != nil {
		return ""
	}
	return hex.EncodeToString(c.Root[:])
}

func writeStatus(w io.Writer, s notary.Status) {
	if s.Alarm != "" {
		fmt.Fprintf(w, "ALARM %s: %v\n", s.Alarm, s.Err)
	}
	if s.Published == 0 {
		fmt.Fprintln(w, "nothing is published yet")
		return
	}
	fmt.Fprintf(w, "published %d entries, root %s\n", s.Published, rootOf(s))
	for _, c := range s.Cosigned {
		fmt.Fprintf(w, "  cosigned by %s at %s\n", c.Witness, c.Time.Format(time.RFC3339))
	}
}
