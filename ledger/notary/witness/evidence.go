package witness

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// maxEvidence is how many pairs of trees of one size are kept for each log; maxUnproven how many other
// checkpoints are kept in a process's life, so that they take no room from the pairs.
const (
	maxEvidence = 100
	maxUnproven = 1000
)

// What was seen. The first cannot be an accident of the network; the second may be a wrong proof beside
// a right checkpoint, which anybody can send.
const (
	twoTrees = "witness: ALARM: a log has signed two trees of one size"
	noProof  = "witness: ALARM: a signed checkpoint was not shown to continue the last one"
)

// keep stores both signed notes: the one that was cosigned and the one that does not fit. Of a checkpoint
// that was not shown to fit one file is kept, whatever proofs strangers send with it. Of trees of one size
// the first free number is taken; the same evidence again takes none.
func (w *Witness) keep(ctx context.Context, what string, c trust.Checkpoint, r request, last latest) {
	r.note, last.note = w.ofLog(c.Origin, r.note), w.ofLog(c.Origin, last.note)
	text := evidence(r, last)
	if what == noProof {
		w.keepUnproven(ctx, c, last, text)
		return
	}
	for i := range maxEvidence {
		path := fmt.Sprintf("evidence/%s/%03d", name(c.Origin), i)
		err := w.config.Store.Create(ctx, path, text)
		if errors.Is(err, notary.ErrDiffers) {
			continue
		}
		w.config.Log.ErrorContext(ctx, what, slog.String("reason", "fork"),
			slog.String("origin", c.Origin), slog.Uint64("size", c.Size), slog.Uint64("cosigned", last.Size), slog.Any("error", err))
		return
	}
	w.config.Log.ErrorContext(ctx, what+"; there is no room for more evidence", slog.String("reason", "fork"), slog.String("origin", c.Origin))
}

func (w *Witness) keepUnproven(ctx context.Context, c trust.Checkpoint, last latest, text []byte) {
	path := fmt.Sprintf("evidence/%s/unproven-%d-%x", name(c.Origin), c.Size, c.Root[:8])
	if !w.unproven[path] && len(w.unproven) >= maxUnproven {
		w.config.Log.ErrorContext(ctx, noProof+"; there is no room for more evidence", slog.String("reason", "fork"), slog.String("origin", c.Origin))
		return
	}
	told := w.unproven[path]
	w.unproven[path] = true
	err := w.config.Store.Create(ctx, path, text)
	if errors.Is(err, notary.ErrDiffers) { // kept beside an earlier cosigned one
		err = nil
	}
	if !told || err != nil {
		w.config.Log.ErrorContext(ctx, noProof, slog.String("reason", "fork"),
			slog.String("origin", c.Origin), slog.Uint64("size", c.Size), slog.Uint64("cosigned", last.Size), slog.Any("error", err))
	}
}

// ofLog is a note without the lines that are not the log's: whoever posts it can add any.
func (w *Witness) ofLog(origin string, msg []byte) []byte {
	for _, l := range w.config.Policy.Logs {
		if l.Verifier.Name() != origin {
			continue
		}
		n, err := note.Open(msg, note.VerifierList(l.Verifier))
		if err != nil {
			break
		}
		out := n.Text + "\n"
		for _, s := range n.Sigs {
			out += "— " + s.Name + " " + s.Base64 + "\n"
		}
		return []byte(out)
	}
	return msg
}

func evidence(r request, last latest) []byte {
	var b strings.Builder
	b.WriteString("cosigned:\n\n")
	b.Write(last.note)
	b.WriteString("\nrefused, with this proof from size " + strconv.FormatUint(r.old, 10) + ":\n\n")
	for _, h := range r.proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(r.note)
	return []byte(b.String())
}
