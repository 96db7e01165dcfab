package inbox

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// One person may be a patient of several organisations. Only the person joins them: by accepting the link of one
// while the inbox of another is open (docs/linking.md).

// source is one of the organisations whose prescriptions an inbox shows.
type source struct {
	Ref  string // names it in our own URLs
	Name string
	Own  bool // the inbox was opened with its link
}

// joinPage is what join.html shows.
type joinPage struct {
	Token string
	From  string // whose prescriptions the link opens
	Mine  []source
}

// sources lists whose prescriptions a session sees, the one that opened it first.
func (a *app) sources(ctx context.Context, s session) ([]source, error) {
	out := make([]source, 0, len(s.all))
	for _, id := range s.patients() {
		name, err := a.organizationOf(ctx, id)
		if errors.Is(err, ledger.ErrErased) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, source{Ref: a.ref(id), Name: name, Own: id == s.patient})
	}
	slices.SortStableFunc(out, func(x, y source) int {
		if x.Own != y.Own {
			if x.Own {
				return -1
			}
			return 1
		}
		return compareFold(x.Name, y.Name)
	})
	return out, nil
}

// organizationOf names the organisation whose patient this is.
func (a *app) organizationOf(ctx context.Context, patient ledger.ID) (string, error) {
	key, err := a.keys.ForPatient(ctx, patient)
	if err != nil {
		return "", fmt.Errorf("inbox: patient: %w", err)
	}
	return a.name(key.Org), nil
}

// ref names a patient in a URL of ours: a keyed hash, so that the URL says nothing.
func (a *app) ref(patient ledger.ID) string {
	h := a.keys.Index(ledger.ID{}, "inbox/source", patient.String()).Hash
	return hex.EncodeToString(h[:16])
}

// offer asks a signed-in person whether to add what a link opens. It answers nothing and returns false when the
// link is to be opened as ever: nobody is signed in, or it opens what this inbox shows already, or it is not good.
func (a *app) offer(w http.ResponseWriter, r *http.Request) bool {
	s, err := a.current(r)
	if err != nil {
		return false
	}
	token := r.PathValue("token")
	other, err := a.devices.Invited(r.Context(), tokenHash(token), s.patient, a.now())
	if err != nil || s.sees(other) {
		return false
	}
	page := joinPage{Token: token}
	if page.From, err = a.organizationOf(r.Context(), other); err != nil {
		return false
	}
	if page.Mine, err = a.sources(r.Context(), s); err != nil {
		a.fail(w, r, err)
		return true
	}
	a.render(w, r, http.StatusOK, "join.html", page)
	return true
}

// join adds what a link opens to the inbox that is open. The link is used up first, for this inbox alone: if the
// hub stops in between, saying yes again finishes it.
func (a *app) join(w http.ResponseWriter, r *http.Request, s session) {
	hash := tokenHash(r.PostFormValue("token"))
	other, err := a.devices.Invited(r.Context(), hash, s.patient, a.now())
	if err == nil && s.sees(other) {
		http.Redirect(w, r, "/inbox/?said="+saidAlready, http.StatusSeeOther)
		return
	}
	if err == nil {
		other, err = a.devices.Join(r.Context(), hash, s.patient, a.now())
	}
	if errors.Is(err, ledger.ErrNotFound) {
		a.gone(w, r)
		return
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	id := a.keys.Index(ledger.ID{}, "inbox/join", string(hash[:])).Hash
	word, err := a.declare(r.Context(), "link."+hex.EncodeToString(id[:]), "link",
		struct{ Patient, Other ledger.ID }{s.patient, other}, saidJoined)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if word == saidJoined {
		if s, err = a.current(r); err == nil && !s.sees(other) { // it was joined before, and removed since
			a.gone(w, r)
			return
		}
		if err := a.oneDeviceEach(r.Context(), s); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	http.Redirect(w, r, "/inbox/?said="+word, http.StatusSeeOther)
}

// linked finds the source that a URL names. It answers itself and returns false when the inbox shows none such.
func (a *app) linked(w http.ResponseWriter, r *http.Request, s session) (patient ledger.ID, found source, ok bool) {
	all, err := a.sources(r.Context(), s)
	if err != nil {
		a.fail(w, r, err)
		return patient, found, false
	}
	ref := r.PathValue("ref")
	i := slices.IndexFunc(all, func(x source) bool { return x.Ref == ref && !x.Own })
	if i < 0 {
		a.notFound(w, r)
		return patient, found, false
	}
	k := slices.IndexFunc(s.all, func(id ledger.ID) bool { return a.ref(id) == ref })
	return s.all[k], all[i], true
}

// part asks whether an organisation's prescriptions are to leave this inbox.
func (a *app) part(w http.ResponseWriter, r *http.Request, s session) {
	if _, from, ok := a.linked(w, r, s); ok {
		a.render(w, r, http.StatusOK, "part.html", from)
	}
}

// unlink makes them leave it.
func (a *app) unlink(w http.ResponseWriter, r *http.Request, s session) {
	patient, _, ok := a.linked(w, r, s)
	if !ok {
		return
	}
	id, err := uuid.NewV7()
	if err != nil {
		a.fail(w, r, fmt.Errorf("inbox: id: %w", err))
		return
	}
	word, err := a.declare(r.Context(), id.String(), "unlink", struct {
		Patient, With ledger.ID
		By, Reason    string
	}{patient, s.patient, "patient", ""}, saidParted)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, "/inbox/?said="+word, http.StatusSeeOther)
}

// declare brings a fact to the recorder, and says done when it is recorded.
func (a *app) declare(ctx context.Context, id, kind string, fact any, done string) (word string, err error) {
	body, err := json.Marshal(fact)
	if err != nil {
		return "", fmt.Errorf("inbox: fact: %w", err)
	}
	answer, err := a.submit.Call(ctx, streams.Message{ID: "hub." + id, Subject: streams.FactSubject(kind), Body: body}, answerWait)
	word, err = saidAfter(answer, err)
	switch word {
	case saidSent:
		word = done
	case saidPending:
		word = saidPassed
	case saidLate:
		word = saidRefused
	}
	return word, err
}

// oneDeviceEach: a browser that gets the wakes of several of the patients gets them once from now on. It stays
// with the patient whose inbox is open, so that it hears of nobody else once they part.
func (a *app) oneDeviceEach(ctx context.Context, s session) error {
	known, err := a.browsers(ctx, s)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	slices.SortStableFunc(known, func(x, y browser) int {
		switch own := x.Patient == s.patient; {
		case own == (y.Patient == s.patient):
			return 0
		case own:
			return -1
		}
		return 1
	})
	for _, b := range known {
		if b.endpoint != "" && seen[b.endpoint] {
			if err := a.devices.DropDevice(ctx, b.ID, "replaced", a.now()); err != nil && fault.KindOf(err) != fault.NotFound {
				return fmt.Errorf("inbox: drop device: %w", err)
			}
		}
		seen[b.endpoint] = true
	}
	return nil
}
