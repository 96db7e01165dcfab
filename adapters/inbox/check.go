package inbox

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// checkPage is what check.html shows.
type checkPage struct{ ID ledger.ID }

// own finds the prescription in the path, which must be the session's patient's. It answers itself and
// returns false if it is not.
func (a *app) own(w http.ResponseWriter, r *http.Request, s session) (prescription, bool) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		a.notFound(w, r)
		return prescription{}, false
	}
	p, err := a.one(r.Context(), s, id)
	if err != nil {
		a.fail(w, r, err)
		return prescription{}, false
	}
	return p, true
}

// check offers to check a prescription on the patient's device. It shows nothing of it.
func (a *app) check(w http.ResponseWriter, r *http.Request, s session) {
	if p, ok := a.own(w, r, s); ok {
		a.render(w, r, http.StatusOK, "check.html", checkPage{p.ID})
	}
}

// receipt gives the patient the receipt of the version in force. A record has one patient, so the
// patient may see all of it, and the opening is in the receipt.
func (a *app) receipt(w http.ResponseWriter, r *http.Request, s session) {
	p, ok := a.own(w, r, s)
	if !ok {
		return
	}
	who := s.reader(p.row.Patient)
	who.Action = "receipt"
	proof, err := a.records.Prove(r.Context(), who, p.row.Record, func(adapters.Plain) bool { return true })
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", receipt.MediaType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+receipt.FileName(proof.Entry.Index)+`"`)
	_, _ = w.Write(proof.Bytes()) // the client may be gone; there is nobody left to tell
}

// original gives the patient the message of the version in force as it was received.
func (a *app) original(w http.ResponseWriter, r *http.Request, s session) {
	p, ok := a.own(w, r, s)
	if !ok {
		return
	}
	bodies, err := a.bodies(r.Context(), s.reader(p.row.Patient), []ledger.ID{p.row.Record})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream") // as received, also if it is no JSON
	w.Header().Set("Content-Disposition", `attachment; filename="prescription.json"`)
	_, _ = w.Write(bodies[p.row.Record].Body) // as above
}

// trust gives the policy that says whose signatures to believe. It is public.
func (a *app) trust(w http.ResponseWriter, r *http.Request) {
	if a.policy == nil {
		a.notFound(w, r)
		return
	}
	text, err := a.policy()
	if fault.KindOf(err) == fault.NotFound && err != nil {
		a.notFound(w, r)
		return
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", receipt.MediaType)
	_, _ = w.Write(text) // as above
}
