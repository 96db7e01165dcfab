package inbox

import "net/http"

// listPage is what list.html shows.
type listPage struct {
	Active, Past []prescription
	Patient      string // as the newest message names them
	BirthDate    string
	Devices      int
}

func (a *app) list(w http.ResponseWriter, r *http.Request, s session) {
	var page listPage
	var err error
	if page.Active, page.Past, err = a.all(r.Context(), s); err != nil {
		a.fail(w, r, err)
		return
	}
	devices, err := a.devices.Devices(r.Context(), s.patient)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	page.Devices = len(devices)
	for _, ps := range [][]prescription{page.Active, page.Past} {
		for _, p := range ps {
			if page.Patient == "" {
				page.Patient, page.BirthDate = p.View.Patient, p.View.BirthDate
			}
		}
	}
	a.render(w, r, http.StatusOK, "list.html", page)
}
