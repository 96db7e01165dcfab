package inbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/ledger"
)

const (
	sessionLife = 12 * time.Hour
	tokenSize   = 32 // bytes of randomness in a session token
)

// session is a signed-in patient, and all who belong to the same person now: that is looked up for every request.
type session struct {
	patient ledger.ID
	all     []ledger.ID // the patient among them; nil = linked with nobody
	hash    ledger.Hash // of the cookie's value
}

// patients are all whose prescriptions the session sees.
func (s session) patients() []ledger.ID {
	if s.all == nil {
		return []ledger.ID{s.patient}
	}
	return s.all
}

// sees reports whether the session sees a patient's prescriptions.
func (s session) sees(patient ledger.ID) bool { return slices.Contains(s.patients(), patient) }

// reader names the session in an access row of one patient's records. The first half of a hash tells sessions
// apart and opens nothing. What is read of a linked patient is read by that patient, and tells nobody of the link.
func (s session) reader(patient ledger.ID) adapters.Reader {
	hash := s.hash
	if patient != s.patient {
		hash = sha256.Sum256(append(hash[:], patient[:]...))
	}
	return adapters.Reader{Patient: patient, Client: uuid.UUID(hash[:16]), Purpose: "PATRQT", Action: "read"}
}

// tokenHash is how links and sessions are stored: SHA-256 of the token's text. Tokens hold 256 random
// bits, so a plain hash is enough.
func tokenHash(token string) ledger.Hash { return sha256.Sum256([]byte(token)) }

// cookieName binds the cookie to this host by its prefix (RFC 6265bis §4.1.3.2); browsers want https
// for that, which a hub on loopback does not have.
func (a *app) cookieName() string {
	if a.secure {
		return "__Host-inbox"
	}
	return "inbox"
}

func (a *app) setCookie(w http.ResponseWriter, value string, life time.Duration) {
	c := &http.Cookie{Name: a.cookieName(), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// current finds the request's session. ledger.ErrNotFound when there is none.
func (a *app) current(r *http.Request) (session, error) {
	c, err := r.Cookie(a.cookieName())
	if err != nil || c.Value == "" {
		return session{}, ledger.ErrNotFound
	}
	s := session{hash: tokenHash(c.Value)}
	if s.patient, err = a.devices.Session(r.Context(), s.hash, a.now()); err != nil {
		return s, err
	}
	linked, err := a.records.Linked(r.Context(), []ledger.ID{s.patient})
	s.all = linked[s.patient]
	return s, err
}

// signedIn serves next with the session, or says how to sign in.
func (a *app) signedIn(next func(http.ResponseWriter, *http.Request, session)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := a.current(r)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			a.render(w, r, http.StatusUnauthorized, "message.html", message{
				Title: "Your inbox is closed",
				Lines: []string{
					"Open it with the link or the code that your clinic or pharmacy gave you.",
					"Each link works once. If yours was used, ask for a new one.",
				},
			})
		case err != nil:
			a.fail(w, r, err)
		default:
			next(w, r, s)
		}
	})
}

// landing shows a button. The link itself is used by pressing it: programs that preview links in
// messages only look. Who is signed in already is asked whether to add what it opens.
func (a *app) landing(w http.ResponseWriter, r *http.Request) {
	if a.offer(w, r) {
		return
	}
	a.render(w, r, http.StatusOK, "landing.html", struct{ Token string }{r.PathValue("token")})
}

func (a *app) redeem(w http.ResponseWriter, r *http.Request) {
	var raw [tokenSize]byte
	rand.Read(raw[:])
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	now := a.now()
	_, err := a.devices.Redeem(r.Context(), tokenHash(r.PostFormValue("token")), tokenHash(token), now, now.Add(sessionLife))
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		a.gone(w, r)
	case err != nil:
		a.fail(w, r, err)
	default:
		a.setCookie(w, token, sessionLife)
		http.Redirect(w, r, "/inbox/", http.StatusSeeOther)
	}
}

func (a *app) gone(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, http.StatusGone, "message.html", message{
		Title: "This link no longer works",
		Lines: []string{
			"It was used before, or it is too old.",
			"Ask your clinic or pharmacy for a new one. Your prescriptions are safe.",
		},
	})
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	if s, err := a.current(r); err == nil {
		if err := a.devices.EndSession(r.Context(), s.hash); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	a.setCookie(w, "", 0)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	a.render(w, r, http.StatusOK, "message.html", message{
		Title: "You are signed out",
		Lines: []string{"To open your inbox again you need a new link."},
	})
}
