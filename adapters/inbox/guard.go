package inbox

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger"
)

// maxForm bounds what a page may send, bytes.
const maxForm = 8 << 10

// policy is the Content-Security-Policy of every answer. Trusted Types allow one policy, "inbox",
// which only names the service worker's own URL.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types inbox"

// guarded sets the headers of every answer and refuses changes that another site asks for.
func guarded(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	checked := origin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		checked.ServeHTTP(w, r)
	})
}

// fail answers an error with a page. The cause goes to the log, never to the page.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrErased) {
		a.notFound(w, r)
		return
	}
	kind := fault.KindOf(err)
	if kind == fault.Invalid { // no page of ours sends such a form
		a.render(w, r, fault.Status(err), "message.html", message{
			Title: "That did not work",
			Lines: []string{"Nothing was changed. Please go back, and choose again."},
			Home:  true,
		})
		return
	}
	a.log.LogAttrs(r.Context(), slog.LevelError, "inbox: page failed", telemetry.Err(err))
	if kind == fault.Unavailable {
		w.Header().Set("Retry-After", "5")
	}
	a.render(w, r, fault.Status(err), "message.html", message{
		Title: "We cannot show this just now",
		Lines: []string{"Nothing was lost. Please try again in a minute."},
		Again: true,
	})
}

func (a *app) notFound(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, http.StatusNotFound, "message.html", message{
		Title: "There is nothing here",
		Lines: []string{"The prescription you are looking for is not in this inbox."},
		Home:  true,
	})
}
