package adapters

import (
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
)

// HeaderRequestID names the request in logs and answers.
const HeaderRequestID = "X-Request-Id"

// Routes is the hub's HTTP surface. The same pattern may be mounted once for each role: the caller's
// role selects the handler, so that clinics and pharmacies can share POST /fhir without knowing of
// each other. Mount before Handler is called; serving is safe for concurrent use.
type Routes struct {
	auth    *auth.Verifier
	log     *slog.Logger
	mu      sync.Mutex // guards the maps while mounting
	systems map[string]map[auth.Role]http.Handler
	public  map[string]http.Handler
}

// NewRoutes authenticates with v.
func NewRoutes(v *auth.Verifier, log *slog.Logger) *Routes {
	return &Routes{auth: v, log: log, systems: map[string]map[auth.Role]http.Handler{}, public: map[string]http.Handler{}}
}

// System mounts a handler for an organisation's clients in this role. pattern is that of
// http.ServeMux ("POST /fhir/MedicationRequest"). The handler finds its auth.Subject in the context.
func (r *Routes) System(pattern string, role auth.Role, h http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.systems[pattern] == nil {
		r.systems[pattern] = map[auth.Role]http.Handler{}
	}
	r.systems[pattern][role] = h
}

// Public mounts a handler that does its own authentication (the inbox).
func (r *Routes) Public(pattern string, h http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.public[pattern] = h
}

// List names every mounted route, sorted.
func (r *Routes) List() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Collect(maps.Keys(r.systems))
	all = slices.AppendSeq(all, maps.Keys(r.public))
	slices.Sort(all)
	return all
}

// Handler is the finished surface: unknown paths and methods answer an OperationOutcome under /fhir.
func (r *Routes) Handler() http.Handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	mux := http.NewServeMux()
	for pattern, byRole := range r.systems {
		mux.Handle(pattern, r.system(byRole))
	}
	for pattern, h := range r.public {
		mux.Handle(pattern, h)
	}
	mux.Handle("/fhir/", http.HandlerFunc(r.elsewhere))
	mux.Handle("/fhir", http.HandlerFunc(r.elsewhere))
	return r.observe(mux)
}

// system authenticates and hands over to the caller's role.
func (r *Routes) system(byRole map[auth.Role]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		subject, err := r.auth.Request(req)
		if err != nil {
			Refuse(w, err)
			return
		}
		h, ok := byRole[subject.Role]
		if !ok {
			Refuse(w, fault.Of(fault.CodeForbidden))
			return
		}
		h.ServeHTTP(w, req.WithContext(auth.With(req.Context(), subject)))
	})
}

// elsewhere answers what is not offered. FHIR interactions that exist in the standard are 501, so
// that nobody takes them for a wrong URL.
func (r *Routes) elsewhere(w http.ResponseWriter, req *http.Request) {
	if _, err := r.auth.Request(req); err != nil {
		Refuse(w, err)
		return
	}
	rest := strings.Trim(strings.TrimPrefix(req.URL.Path, "/fhir"), "/")
	kind, _, _ := strings.Cut(rest, "/")
	switch {
	case kind == "":
		Refuse(w, fault.Of(fault.CodeMethod))
	case kind[0] == '$' || kind == "metadata" || kind[0] >= 'A' && kind[0] <= 'Z':
		Refuse(w, fault.Of(fault.CodeNotServed))
	default:
		Refuse(w, fault.Of(fault.CodeNotFound))
	}
}

// Refuse answers err as an OperationOutcome with the status of its code. What err wraps stays inside.
func Refuse(w http.ResponseWriter, err error) {
	RefuseAll(w, fault.Status(err), []fhir.Issue{fhir.IssueOf(err)}, retryAfter(err))
}

// RefuseAll answers issues as one OperationOutcome.
func RefuseAll(w http.ResponseWriter, status int, issues []fhir.Issue, after time.Duration) {
	h := w.Header()
	h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="dosewire"`)
	}
	if after > 0 {
		h.Set("Retry-After", seconds(after))
	}
	w.WriteHeader(status)
	_, _ = w.Write(fhir.Outcome(issues)) // a client that went away
}

// observe gives every request an id, a span, a line in the log, and survives a handler's panic.
func (r *Routes) observe(next *http.ServeMux) http.Handler {
	tracer := otel.Tracer("github.com/dosewire/dosewire/adapters")
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		id := requestID(req)
		w.Header().Set(HeaderRequestID, id)
		_, pattern := next.Handler(req)
		ctx := propagation.TraceContext{}.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
		ctx, span := tracer.Start(ctx, pattern, trace.WithSpanKind(trace.SpanKindServer))
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				r.log.ErrorContext(ctx, "handler panicked", slog.String("pattern", pattern), slog.String("request", id), slog.String("kind", "internal"))
				if r.log.Enabled(ctx, slog.LevelDebug) {
					debug.PrintStack()
				}
				if !answer.begun {
					Refuse(answer, fault.Of(fault.CodeInternal).At("X-Request-Id "+id))
				}
			}
			span.SetAttributes(attribute.Int("http.response.status_code", answer.status))
			span.End()
			r.log.DebugContext(ctx, "request", slog.String("pattern", pattern), slog.String("request", id),
				slog.Int("status", answer.status), slog.Duration("elapsed", time.Since(began)))
		}()
		next.ServeHTTP(answer, req.WithContext(ctx))
	})
}

// requestID is the client's if it is a plain token, else a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get(HeaderRequestID)
	plain := len(id) > 0 && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
	if plain {
		return id
	}
	return uuid.NewString()
}

// recorder notes the status of an answer. Unwrap lets http.ResponseController flush it.
type recorder struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.begun {
		r.status, r.begun = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
