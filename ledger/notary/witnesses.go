package notary

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/trust"
)

// stragglers is how long the other witnesses are waited for once the quorum is there.
const stragglers = 250 * time.Millisecond

// maxAnswer is how much of a witness's answer is read.
const maxAnswer = 64 << 10

var errWitness = fault.New(fault.Unavailable, "notary: witness")

// witness is one that can be asked: C2SP tlog-witness.
type witness struct {
	trust.Witness
	endpoint string
}

// key names the witness in the state, whatever the policy calls it.
func (w *witness) key() string {
	return fmt.Sprintf("%s+%08x", w.Verifier.Name(), w.Verifier.KeyHash())
}

func witnessesOf(p *trust.Policy) (all []*witness, err error) {
	for _, w := range p.Witnesses {
		if w.URL == "" {
			continue // only for those who verify
		}
		u, err := url.Parse(w.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, fault.New(fault.Invalid, fmt.Sprintf("notary: witness %q has no http(s) URL", w.Name))
		}
		all = append(all, &witness{w, u.JoinPath("add-checkpoint").String()})
	}
	return all, nil
}

// answer is what came of asking one witness.
type answer struct {
	of   *witness
	line note.Signature
	size uint64 // what it has cosigned now
	err  error
}

// cosign asks all witnesses at once. It returns the note with what they gave, and the size that each
// of them has cosigned, and ErrFork if one of them knows another tree.
func (n *Notary) cosign(ctx context.Context, signed []byte, c trust.Checkpoint) (merged []byte, sizes map[string]uint64, fork, err error) {
	if len(n.witnesses) == 0 {
		return signed, n.state.Witnesses, nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(n.witnesses))
	for _, w := range n.witnesses {
		old := min(n.state.Witnesses[w.key()], c.Size)
		go func() { answers <- n.ask(ctx, w, signed, c, old) }()
	}
	lines, sizes, fork := n.collect(ctx, answers)
	merged, err = merge(signed, n.config.Verifier, lines)
	return merged, sizes, fork, err
}

// collect waits for all, but not long once the quorum is met.
func (n *Notary) collect(ctx context.Context, answers <-chan answer) (lines []note.Signature, sizes map[string]uint64, fork error) {
	sizes = maps.Clone(n.state.Witnesses)
	if sizes == nil {
		sizes = map[string]uint64{}
	}
	var have []trust.Cosignature
	var enough <-chan time.Time
	for range n.witnesses {
		var a answer
		select {
		case a = <-answers:
		case <-enough:
			return lines, sizes, fork
		}
		n.metrics.asked(ctx, a.of.Name, a.err)
		if a.err != nil {
			n.config.Log.WarnContext(ctx, "notary: a witness did not cosign", slog.String("host", a.of.Verifier.Name()), slog.Any("error", a.err))
			if errors.Is(a.err, ErrFork) {
				fork = a.err
			}
			continue
		}
		lines, sizes[a.of.key()] = append(lines, a.line), a.size
		have = append(have, trust.Cosignature{Witness: a.of.Name})
		if enough == nil && n.config.Policy.Needed() && n.config.Policy.Quorum(have) {
			enough = time.After(stragglers)
		}
	}
	return lines, sizes, fork
}

// ask submits the checkpoint to one witness, twice if it remembers another size than we thought.
func (n *Notary) ask(ctx context.Context, w *witness, signed []byte, c trust.Checkpoint, old uint64) answer {
	for range 3 { // a witness may serve another notary of this log at the same time
		proof, err := prove(ctx, n.config.Tiles, c.Size, c.Root, old)
		if err != nil {
			return answer{of: w, err: err}
		}
		status, body, err := n.submit(ctx, w, old, proof, signed)
		if err != nil {
			return answer{of: w, err: err}
		}
		switch status {
		case http.StatusOK:
			line, err := cosignature(signed, body, w.Verifier)
			return answer{of: w, line: line, size: c.Size, err: err}
		case http.StatusConflict:
			size, err := trust.ParseSize(strings.TrimSuffix(string(body), "\n"))
			switch {
			case err != nil:
				return answer{of: w, err: errWitness.Wrap(errors.New("409 without a size"))}
			case size > c.Size:
				return answer{of: w, err: ErrFork.Wrap(fmt.Errorf("witness %s has cosigned size %d, this notary has signed %d", w.Name, size, c.Size))}
			case size == old:
				return answer{of: w, err: ErrFork.Wrap(fmt.Errorf("witness %s has cosigned another tree of size %d", w.Name, size))}
			}
			old = size
		case http.StatusUnprocessableEntity:
			return answer{of: w, err: ErrFork.Wrap(fmt.Errorf("witness %s has cosigned size %d of another tree", w.Name, old))}
		default:
			return answer{of: w, err: errWitness.Wrap(fmt.Errorf("%s answers %d", w.Name, status))}
		}
	}
	return answer{of: w, err: errWitness.Wrap(fmt.Errorf("%s keeps moving", w.Name))}
}

// submit posts one add-checkpoint.
func (n *Notary) submit(ctx context.Context, w *witness, old uint64, proof []tlog.Hash, signed []byte) (status int, body []byte, err error) {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatUint(old, 10) + "\n")
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(signed)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.endpoint, &b)
	if err != nil {
		return 0, nil, errWitness.Wrap(err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := n.config.Client.Do(req)
	if err != nil {
		return 0, nil, errWitness.Wrap(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, errWitness.Wrap(err)
	}
	return resp.StatusCode, body, nil
}

// cosignature finds the witness's line among those it sent, and verifies it over our own text.
func cosignature(signed, lines []byte, v note.Verifier) (note.Signature, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return note.Signature{}, errWitness
	}
	whole := bytes.Join([][]byte{text, []byte("\n\n"), lines}, nil)
	m, err := note.Open(whole, note.VerifierList(v))
	if err != nil {
		return note.Signature{}, errWitness.Wrap(errors.New("its cosignature does not hold"))
	}
	return m.Sigs[0], nil
}
