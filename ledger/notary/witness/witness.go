package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// Config of a witness. All but Log are needed.
type Config struct {
	Signer note.Signer    // of cosignature/v1
	Policy *trust.Policy  // its logs are those that are cosigned
	Store  notary.Storage // one object for each log, and the evidence
	Log    *slog.Logger
}

// Witness cosigns. Make it with New; Handler serves it.
type Witness struct {
	config   Config
	mu       sync.Mutex      // held from reading what was cosigned to storing what is
	unproven map[string]bool // evidence of this kind that was kept
}

// New checks the configuration.
func New(c Config) (*Witness, error) {
	if c.Signer == nil || c.Policy == nil || c.Store == nil {
		return nil, fault.New(fault.Internal, "witness: signer, policy and store are needed")
	}
	if len(c.Policy.Logs) == 0 {
		return nil, fault.New(fault.Invalid, "witness: the policy names no log")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Witness{config: c, unproven: map[string]bool{}}, nil
}

// Handler serves POST /add-checkpoint.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
		if err != nil {
			http.Error(rw, "the request is too long or was cut off", http.StatusBadRequest)
			return
		}
		a := w.Add(r.Context(), body)
		kind := "text/plain; charset=utf-8"
		if a.Size {
			kind = "text/x.tlog.size"
		}
		rw.Header().Set("Content-Type", kind)
		rw.WriteHeader(a.Status)
		_, _ = rw.Write(a.Body) // the log has gone
	})
	return mux
}

// Answer is what add-checkpoint is answered with.
type Answer struct {
	Status int
	Body   []byte // 200: cosignature lines; 409: the size; else a sentence
	Size   bool   // Body is a size
}

func refuse(status int, text string) Answer { return Answer{Status: status, Body: []byte(text + "\n")} }

// latest is the last checkpoint that was cosigned for a log.
type latest struct {
	trust.Checkpoint
	note []byte // as submitted; nil = none yet
}

// Add answers one add-checkpoint request.
func (w *Witness) Add(ctx context.Context, body []byte) Answer {
	r, err := parse(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "not an add-checkpoint request")
	}
	c, refused := w.signed(r.note)
	if refused != nil {
		return *refused
	}
	if r.old > c.Size {
		return refuse(http.StatusBadRequest, "the old size is larger than the checkpoint's")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := w.latest(ctx, c.Origin)
	if err != nil {
		return w.failed(ctx, err)
	}
	if a := w.judge(ctx, r, c, last); a != nil {
		return *a
	}
	return w.cosign(ctx, r, c, last)
}

// signed finds the log that signed the note: 404, 403.
func (w *Witness) signed(msg []byte) (trust.Checkpoint, *Answer) {
	origin, _, _ := strings.Cut(string(msg), "\n")
	for _, l := range w.config.Policy.Logs {
		if l.Verifier.Name() != origin {
			continue
		}
		v, err := trust.Solo(l.Verifier).Open(msg)
		if err == nil && v.Size == 0 && v.Root != sha256.Sum256(nil) {
			a := refuse(http.StatusUnprocessableEntity, "the tree over nothing has another root")
			return trust.Checkpoint{}, &a
		}
		if err == nil {
			return v.Checkpoint, nil
		}
		a := refuse(http.StatusForbidden, "the checkpoint is not signed with a key of this log")
		return trust.Checkpoint{}, &a
	}
	a := refuse(http.StatusNotFound, "this log is not known here")
	return trust.Checkpoint{}, &a
}

// judge is nil when the checkpoint continues the last one.
func (w *Witness) judge(ctx context.Context, r request, c trust.Checkpoint, last latest) *Answer {
	conflict := Answer{Status: http.StatusConflict, Body: []byte(strconv.FormatUint(last.Size, 10) + "\n"), Size: true}
	switch {
	case r.old != last.Size:
		if c.Size == last.Size && last.note != nil && c.Root != last.Root {
			w.keep(ctx, twoTrees, c, r, last) // no proof is needed to see that these two do not fit
		}
		return &conflict
	case last.note != nil && c.Size == last.Size:
		if c.Root != last.Root {
			w.keep(ctx, twoTrees, c, r, last)
			return &conflict
		}
		return nil
	case last.Size == 0:
		if len(r.proof) > 0 {
			a := refuse(http.StatusUnprocessableEntity, "a proof from size 0 is empty")
			return &a
		}
		return nil
	}
	if !c.Continues(last.Checkpoint, r.proof) {
		w.keep(ctx, noProof, c, r, last)
		a := refuse(http.StatusUnprocessableEntity, "the consistency proof does not hold")
		return &a
	}
	return nil
}

// cosign stores first, then answers.
func (w *Witness) cosign(ctx context.Context, r request, c trust.Checkpoint, last latest) Answer {
	signed, err := note.Sign(&note.Note{Text: textOf(r.note)}, w.config.Signer) // with its extension lines, if it has any
	if err != nil {
		return w.failed(ctx, err)
	}
	if err := w.config.Store.Replace(ctx, path(c.Origin), last.note, r.note); err != nil {
		return w.failed(ctx, err)
	}
	w.config.Log.DebugContext(ctx, "witness: cosigned", slog.String("origin", c.Origin), slog.Uint64("size", c.Size))
	_, lines, _ := strings.Cut(string(signed), "\n\n")
	return Answer{Status: http.StatusOK, Body: []byte(lines)}
}

// textOf is the signed part of a note; the blank line that ends it is the last one.
func textOf(msg []byte) string {
	return string(msg[:max(bytes.LastIndex(msg, []byte("\n\n")), 0)]) + "\n"
}

// latest reads what was cosigned last for a log.
func (w *Witness) latest(ctx context.Context, origin string) (latest, error) {
	b, err := w.config.Store.Get(ctx, path(origin))
	if errors.Is(err, notary.ErrNoObject) {
		return latest{}, nil
	}
	if err != nil {
		return latest{}, fmt.Errorf("witness: read: %w", err)
	}
	c, err := trust.ParseCheckpoint(textOf(b))
	if err != nil || c.Origin != origin {
		return latest{}, notary.ErrState.Wrap(fmt.Errorf("what was cosigned for %s", origin))
	}
	return latest{c, b}, nil
}

func (w *Witness) failed(ctx context.Context, err error) Answer {
	if errors.Is(err, notary.ErrMoved) {
		return refuse(http.StatusServiceUnavailable, "another request was faster; try again")
	}
	w.config.Log.ErrorContext(ctx, "witness: a checkpoint could not be cosigned", slog.Any("error", err))
	return refuse(http.StatusInternalServerError, "internal error")
}

// path is where the last checkpoint of a log is kept.
func path(origin string) string { return "logs/" + name(origin) }

// name of a log in the store.
func name(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:8])
}
