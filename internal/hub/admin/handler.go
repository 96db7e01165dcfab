package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

// maxRequest is the size of the largest request, bytes.
const maxRequest = 64 << 10

// maxState is the size of the largest request for a verification: it may carry the right edge of a
// tree, 255 hashes for each of up to eight levels. Bytes.
const maxState = 256 << 10

// NewHandler serves s.
func NewHandler(s Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /organizations", answer(s.AddOrganization))
	mux.HandleFunc("GET /organizations", answer(func(ctx context.Context, _ struct{}) ([]Organization, error) { return s.Organizations(ctx) }))
	mux.HandleFunc("POST /organizations/signature", answer(s.SetSignature))
	mux.HandleFunc("POST /invitations", answer(s.Invite))
	mux.HandleFunc("POST /receipts", answer(s.Receipt))
	mux.HandleFunc("GET /status", answer(func(ctx context.Context, _ struct{}) (Status, error) { return s.Status(ctx) }))
	mux.HandleFunc("POST /verify", func(w http.ResponseWriter, r *http.Request) { verify(w, r, s) })
	handleKeys(mux, s)
	handleRx(mux, s)
	keeping(mux, s)
	linking(mux, s)
	return mux
}

// answer decodes the request, calls do, and encodes what it returns.
func answer[Q, A any](do func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if r.Method == http.MethodPost {
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
			d.DisallowUnknownFields()
			if err := d.Decode(&q); err != nil {
				refuse(w, fault.New(fault.Invalid, "admin: the request is not understood"))
				return
			}
		}
		a, err := do(r.Context(), q)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // the operator has gone
	}
}

// problem is an error on the wire.
type problem struct {
	Kind string `json:"kind"`
	Code string `json:"code,omitempty"`
	Text string `json:"text"`
}

func problemOf(err error) *problem {
	return &problem{fault.KindOf(err).String(), string(fault.CodeOf(err)), telemetry.Text(err)}
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.Status(err))
	_ = json.NewEncoder(w).Encode(problemOf(err)) // the operator has gone
}

// err is the problem as an error again.
func (p problem) err() error {
	if e, ok := fault.Lookup(fault.Code(p.Code)); ok {
		return fault.Of(e.Code)
	}
	for k := range fault.Kind(16) {
		if k.String() == p.Kind {
			return fault.New(k, p.Text)
		}
	}
	return fault.New(fault.Internal, p.Text)
}

// line is one line of a verification: progress, and last either a verdict or a problem.
type line struct {
	Progress *Progress `json:"progress,omitempty"`
	Verdict  *Verdict  `json:"verdict,omitempty"`
	Problem  *problem  `json:"problem,omitempty"`
}

func verify(w http.ResponseWriter, r *http.Request, s Service) {
	var q Verification
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxState))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		refuse(w, fault.New(fault.Invalid, "admin: the request is not understood"))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	enc, rc := json.NewEncoder(w), http.NewResponseController(w)
	write := func(l line) {
		if errors.Join(enc.Encode(l), rc.Flush()) != nil {
			cancel() // nobody is listening any more
		}
	}
	v, err := s.Verify(ctx, q, func(p Progress) { write(line{Progress: &p}) })
	if err != nil {
		write(line{Problem: problemOf(err)})
		return
	}
	write(line{Verdict: &v})
}
