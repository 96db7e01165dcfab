package adapters

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
)

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
// It panics when the role has a handler there already: two adapters would fight for it.
func (r *Routes) System(pattern string, role auth.Role, h http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.systems[pattern] == nil {
		r.systems[pattern] = map[auth.Role]http.Handler{}
	}
	if r.systems[pattern][role] != nil {
		panic("adapters: " + pattern + " is mounted twice for " + string(role))
	}
	r.systems[pattern][role] = h
}

// Public mounts a handler that does its own authentication (the inbox). It panics when the pattern is
// taken.
func (r *Routes) Public(pattern string, h http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.public[pattern] != nil {
		panic("adapters: " + pattern + " is mounted twice")
	}
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
	elsewhere := r.elsewhere(mux)
	mux.Handle("/fhir/", elsewhere)
	mux.Handle("/fhir", elsewhere)
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

// elsewhere answers what is not offered: a path that the caller may use otherwise is 405 with Allow; a
// FHIR interaction that exists in the standard is 501, so that nobody takes it for a wrong URL.
func (r *Routes) elsewhere(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		subject, err := r.auth.Request(req)
		if err != nil {
			Refuse(w, err)
			return
		}
		if methods := r.methods(mux, req.URL, subject.Role); len(methods) > 0 {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			Refuse(w, fault.Of(fault.CodeMethod))
			return
		}
		Refuse(w, fault.Of(absent(req.URL.Path)))
	})
}

// methods are those under which a role is served at u.
func (r *Routes) methods(mux *http.ServeMux, u *url.URL, role auth.Role) (all []string) {
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		_, pattern := mux.Handler(&http.Request{Method: m, URL: u})
		r.mu.Lock()
		served := r.systems[pattern][role] != nil
		r.mu.Unlock()
		if !served {
			continue
		}
		if all = append(all, m); m == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	return all
}

// absent is the code for a path under /fhir that nothing is mounted at: one of FHIR's shape (an
// operation, a type, the CapabilityStatement) is not served yet, any other does not exist.
func absent(path string) fault.Code {
	first, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(path, "/fhir"), "/"), "/")
	switch {
	case first == "":
		return fault.CodeMethod
	case first[0] == '$', first[0] >= 'A' && first[0] <= 'Z', first == "metadata", first == "_search", first == "_history":
		return fault.CodeNotServed
	}
	return fault.CodeNotFound
}
