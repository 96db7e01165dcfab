package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
)

// sendFlags are the flags of send.
type sendFlags struct {
	as      string
	id      string
	nats    bool
	ndjson  bool
	timeout time.Duration
	sign    signFlags
}

// sender brings one message to the hub. An error means that it was not answered; a refusal is a
// result.
type sender interface {
	send(ctx context.Context, m item) (result, error)
	close()
}

// result is what became of one message.
type result struct {
	Source   string   `json:"source"` // file, with :line for NDJSON
	Status   int      `json:"status"` // HTTP status; 202 = stored by the broker, not decided yet
	Index    string   `json:"index,omitempty"`
	Rx       string   `json:"rx,omitempty"`
	State    string   `json:"state,omitempty"`
	Location string   `json:"location,omitempty"`
	Seq      uint64   `json:"seq,omitempty"` // intake sequence: the Rx-Cause of the outcome (NATS)
	Replayed bool     `json:"replayed,omitempty"`
	Signed   string   `json:"signature,omitempty"` // verdict on the signature (REST)
	Issues   []remark `json:"issues,omitempty"`
}

// remark is one issue of an OperationOutcome.
type remark struct {
	Severity   string `json:"severity"`
	Code       string `json:"code,omitempty"`
	Text       string `json:"text,omitempty"`
	Expression string `json:"expression,omitempty"`
	At         string `json:"at,omitempty"` // line:column
}

func (r result) refused() bool { return r.Status >= 300 }

func newSend(g *globals) *cobra.Command {
	f := &sendFlags{}
	c := &cobra.Command{
		Use:   "send FILE...",
		Short: "Send prescriptions or dispenses as a clinic or pharmacy",
		Long: `Send FHIR resources and print what the hub decided. A file holds one resource; *.ndjson holds
one a line; - is standard input (NDJSON with --ndjson).

Over REST the answer is the decision: recorded, with its ledger index, or refused, with every
reason. Over NATS (--nats) the answer says that the message is stored; the decision comes as a
delivery whose Rx-Cause is the sequence printed (see dosewire receive).

The same bytes have the same message id, so sending again is safe and fetches the first answer.
Without an answer it tries again until --timeout. Exit code 3: at least one was refused.

With --sign and --cert each message is signed as its prescriber would: a detached JWS of exactly
its bytes, with the certificates (docs/signatures.md).`,
		Example: `  dosewire send prescription.json --as clinic.json
  dosewire send backlog.ndjson --as clinic.json
  dosewire send dispense.json --as pharmacy.json --nats
  dosewire send prescription.json --as clinic.json --sign dr-key.pem --cert dr-chain.pem
  cat *.json | dosewire send - --as clinic.json --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cred, err := loadCredential(f.as)
			if err != nil {
				return err
			}
			if f.id != "" && len(args) > 1 {
				return usageError{fmt.Errorf("--id is for one message")}
			}
			if err := f.sign.load(); err != nil {
				return err
			}
			s, err := newSender(cmd.Context(), cred, f)
			if err != nil {
				return err
			}
			defer s.close()
			return sendAll(cmd, g, f, s, args)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.as, "as", "", "credential `file`, written by dosewire org add --save")
	fl.StringVar(&f.id, "id", "", "message `id`; default: from the bytes")
	fl.BoolVar(&f.nats, "nats", false, "publish over NATS instead of REST")
	fl.BoolVar(&f.ndjson, "ndjson", false, "one resource a line, whatever the file's name")
	fl.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to try each message")
	f.sign.add(fl)
	return c
}

// sendAll sends in order, one after the other, and goes on after a refusal.
func sendAll(cmd *cobra.Command, g *globals, f *sendFlags, s sender, files []string) error {
	bar := newProgress(cmd.ErrOrStderr(), g.json)
	defer bar.clear()
	var sent, refused uint64
	for m, err := range items(cmd.InOrStdin(), files, f) {
		if err != nil {
			return err
		}
		if m.signature, err = f.sign.signature(m.body); err != nil {
			return fmt.Errorf("%s: %w", m.source, err)
		}
		r, err := persist(cmd.Context(), s, m, f.timeout)
		if err != nil {
			return fmt.Errorf("%s: %w", m.source, err)
		}
		sent++
		if r.refused() {
			refused++
		}
		bar.clear()
		if err := g.print(cmd.OutOrStdout(), r, r.text); err != nil {
			return err
		}
		bar.show("sent", sent, 0)
	}
	switch {
	case sent == 0:
		return usageError{errors.New("nothing to send")}
	case refused > 0:
		return fault.New(fault.Invalid, fmt.Sprintf("%d of %d refused", refused, sent))
	}
	return nil
}

// persist sends the same message again while nobody answers.
func persist(ctx context.Context, s sender, m item, timeout time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		r, err := s.send(ctx, m)
		if err == nil || fault.KindOf(err) != fault.Unavailable {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("%w (gave up: %w)", err, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

func (r result) text(w io.Writer) {
	switch {
	case r.Status == 202:
		fmt.Fprintf(w, "stored    seq %d  %s\n", r.Seq, r.Source)
	case r.refused():
		fmt.Fprintf(w, "refused   %d  %s\n", r.Status, r.Source)
	default:
		word := "recorded"
		if r.Replayed {
			word = "repeated"
		}
		fmt.Fprintf(w, "%s  #%s", word, r.Index)
		for _, s := range []string{r.Rx, r.State, r.Signed, r.Source} {
			if s != "" {
				fmt.Fprintf(w, "  %s", s)
			}
		}
		fmt.Fprintln(w)
	}
	for _, i := range r.Issues {
		if i.Severity != "information" || r.refused() {
			fmt.Fprintf(w, "  %s %s: %s", i.Severity, i.Code, i.Text)
			for _, where := range []string{i.Expression, i.At} {
				if where != "" {
					fmt.Fprintf(w, " %s", where)
				}
			}
			fmt.Fprintln(w)
		}
	}
}
