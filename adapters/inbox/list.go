package inbox

import (
	"net/http"
	"slices"
)

// listPage is what list.html shows.
type listPage struct {
	Active, Past []prescription
	Patient      string // as the newest message names them
	BirthDate    string
	Devices      int
	Sources      []source // whose prescriptions these are; one = nobody else's
	Differ       bool     // they do not all name the same person
	Said         said
}

func (a *app) list(w http.ResponseWriter, r *http.Request, s session) {
	var page listPage
	var err error
	if page.Active, page.Past, err = a.all(r.Context(), s); err != nil {
		a.fail(w, r, err)
		return
	}
	devices, err := a.devices.DevicesOf(r.Context(), s.patients())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	page.Devices = len(devices)
	if s.all != nil {
		if page.Sources, err = a.sources(r.Context(), s); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	page.name()
	page.Said = saidBy(r.URL.Query().Get("said"))
	a.render(w, r, http.StatusOK, "list.html", page)
}

// name finds whom the prescriptions name: the newest says. Others may have been added by mistake.
func (page *listPage) name() {
	for _, p := range slices.Concat(page.Active, page.Past) {
		switch v := p.View; {
		case v.Patient == "":
		case page.Patient == "":
			page.Patient, page.BirthDate = v.Patient, v.BirthDate
		case len(page.Sources) > 1 && v.BirthDate != "" && page.BirthDate != "" && v.BirthDate != page.BirthDate:
			page.Differ = true
		}
	}
}
