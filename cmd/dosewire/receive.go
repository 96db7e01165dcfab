package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
)

// receiveFlags are the flags of receive.
type receiveFlags struct {
	as      string
	rest    bool
	ack     bool
	after   uint64
	count   int
	timeout time.Duration
	save    string
}

// delivery is one message for an organisation.
type delivery struct {
	Number uint64          `json:"number"` // the cursor
	Type   string          `json:"type"`
	Rx     string          `json:"rx,omitempty"`
	State  string          `json:"state,omitempty"`
	Claim  string          `json:"claim,omitempty"`
	Index  string          `json:"index,omitempty"`
	Cause  string          `json:"cause,omitempty"`
	Signed string          `json:"signature,omitempty"` // verdict on the sender's signature
	Codes  []string        `json:"codes,omitempty"`     // of an OperationOutcome
	File   string          `json:"file,omitempty"`      // where --save put it
	Body   json.RawMessage `json:"body"`
	bytes  []byte          // exactly as delivered
	acked  func() error
}

// source yields deliveries in order until ctx ends. next blocks.
type source interface {
	next(ctx context.Context) (delivery, error)
	close()
}

func newReceive(g *globals) *cobra.Command {
	f := &receiveFlags{}
	c := &cobra.Command{
		Use:   "receive",
		Short: "Follow what the hub delivers to an organisation",
		Long: `Print each delivery as it comes: prescriptions for a pharmacy, dispenses for a clinic, and
outcomes for both. Over NATS it reads the organisation's durable consumer; with --rest it
pulls GET /fhir/$deliveries.

Without --ack everything is delivered again later. With --ack a delivery is acknowledged
after it was printed and saved, and is gone from the hub's queue. It runs until interrupted,
or for --count deliveries; exit code 4 if fewer came within --timeout.`,
		Example: `  dosewire receive --as pharmacy.json
  dosewire receive --as pharmacy.json --ack --save inbox/
  dosewire receive --as clinic.json --rest --after 120
  dosewire receive --as pharmacy.json --count 1 --timeout 10s --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cred, err := loadCredential(f.as)
			if err != nil {
				return err
			}
			if f.after > 0 && !f.rest {
				return usageError{errors.New("--after is for --rest; the durable consumer knows its place")}
			}
			var s source
			if f.rest {
				s = newRESTSource(cred, f)
			} else if s, err = newNATSSource(cmd.Context(), cred); err != nil {
				return err
			}
			defer s.close()
			return follow(cmd, g, f, s)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.as, "as", "", "credential `file`, written by dosewire org add --save")
	fl.BoolVar(&f.rest, "rest", false, "pull over REST instead of NATS")
	fl.BoolVar(&f.ack, "ack", false, "acknowledge what was printed and saved")
	fl.Uint64Var(&f.after, "after", 0, "with --rest: begin after this `number`, which acknowledges up to it")
	fl.IntVar(&f.count, "count", 0, "stop after `n` deliveries; 0 = never")
	fl.DurationVar(&f.timeout, "timeout", 0, "stop when nothing came for this `long`; 0 = never")
	fl.StringVar(&f.save, "save", "", "write each body, byte for byte, into `folder`")
	return c
}

var errTooFew = fault.New(fault.Unavailable, "fewer deliveries came than --count")

func follow(cmd *cobra.Command, g *globals, f *receiveFlags, s source) error {
	seen := map[uint64]bool{} // without --ack they come again
	for n := 0; f.count == 0 || n < f.count; {
		d, err := await(cmd.Context(), s, f.timeout)
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			if f.count > 0 {
				return errTooFew
			}
			return nil
		case err != nil:
			return err
		}
		if seen[d.Number] {
			continue
		}
		seen[d.Number] = true
		n++
		if err := take(cmd.OutOrStdout(), g, f, d); err != nil {
			return err
		}
	}
	return nil
}

func await(ctx context.Context, s source, timeout time.Duration) (delivery, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return s.next(ctx)
}

// take saves, prints, and only then acknowledges.
func take(w io.Writer, g *globals, f *receiveFlags, d delivery) error {
	d.Codes = codes(d)
	if f.save != "" {
		path, err := saveBody(f.save, d)
		if err != nil {
			return err
		}
		d.File = path
	}
	if err := g.print(w, d, d.text); err != nil {
		return err
	}
	if f.ack {
		if err := d.acked(); err != nil {
			return fault.New(fault.Unavailable, "the acknowledgement did not arrive; the delivery will come again").Wrap(err)
		}
	}
	return nil
}

func codes(d delivery) (all []string) {
	if d.Type != "OperationOutcome" {
		return nil
	}
	for _, r := range remarks(d.bytes) {
		all = append(all, r.Code)
	}
	return all
}

func (d delivery) text(w io.Writer) {
	fmt.Fprintf(w, "%6d  %-19s", d.Number, d.Type)
	for _, s := range []string{d.Rx, d.State, d.Signed, d.File} {
		if s != "" {
			fmt.Fprintf(w, "  %s", s)
		}
	}
	for _, c := range d.Codes {
		fmt.Fprintf(w, "  %s", c)
	}
	if d.Index != "" {
		fmt.Fprintf(w, "  #%s", d.Index)
	}
	fmt.Fprintf(w, "  %d bytes\n", len(d.bytes))
}
