package witness

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// maxEvidence is how many refused checkpoints are kept for each log.
const maxEvidence = 100

// What was seen. The first cannot be an accident of the network; the second may be a wrong proof beside
// a right checkpoint, which anybody can send.
const (
	twoTrees = "witness: ALARM: a log has signed two trees of one size"
	noProof  = "witness: ALARM: a signed checkpoint was not shown to continue the last one"
)

// keep stores both signed notes: the one that was cosigned and the one that does not fit, with the
// proof that came with it. The first free number is taken; the same evidence again takes none.
func (w *Witness) keep(ctx context.Context, what string, c trust.Checkpoint, r request, last latest) {
	text := evidence(r, last)
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
