package pharmacy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/adapters/pharmacy"
)

func TestSuite(t *testing.T) {
	adaptertest.Run(t, pharmacy.Spec(), adaptertest.Case{
		Who: func(w *adaptertest.World) adaptertest.Member { return w.Pharmacy }, Path: "/fhir/MedicationDispense", Good: adaptertest.Dispense("d-1", "rx-1"),
	})
}

func TestWhatAPharmacySends(t *testing.T) {
	dispense, request := adaptertest.Dispense("d-1", "rx-1"), adaptertest.Request("rx-1")
	renewal := strings.Replace(adaptertest.Request("ask-1"), `"intent":"order"`, `"intent":"proposal","priorPrescription":{"identifier":{"system":"urn:rx","value":"rx-1"}}`, 1)
	for _, c := range []struct {
		name, path, body string
		who              func(*adaptertest.World) adaptertest.Member
		status           int
		subject, code    string
	}{
		{name: "dispense", path: "/fhir/MedicationDispense", body: dispense, status: 201, subject: "MedicationDispense"},
		{name: "dispense at the base", path: "/fhir", body: dispense, status: 201, subject: "MedicationDispense"},
		{name: "at the base with a slash", path: "/fhir/", body: dispense, status: 201, subject: "MedicationDispense"},
		{name: "Bundle with the prescription cited", path: "/fhir", body: adaptertest.Bundle("collection", "m-1", dispense, request), status: 201, subject: "Bundle"},
		{name: "prescription", path: "/fhir", body: request, status: 403, code: "RX_SENDER"},
		{name: "prescription at the type", path: "/fhir/MedicationRequest", body: request, status: 403, code: "RX_SENDER"},
		{name: "renewal", path: "/fhir/MedicationRequest", body: renewal, status: 201, subject: "MedicationRequest"},
		{name: "renewal at the base", path: "/fhir", body: renewal, status: 201, subject: "MedicationRequest"},
		{name: "proposal of nothing known", path: "/fhir", body: strings.Replace(request, `"intent":"order"`, `"intent":"proposal"`, 1), status: 403, code: "RX_SENDER"},
		{name: "renewal as a Bundle of both", path: "/fhir", body: adaptertest.Bundle("collection", "m-2", renewal, strings.ReplaceAll(request, "rx-1", "rx-9")), status: 403, code: "RX_SENDER"},
		{name: "prescription as a dispense", path: "/fhir/MedicationDispense", body: request, status: 400, code: "RX_RESOURCE_TYPE"},
		{name: "invalid status", path: "/fhir", body: strings.Replace(dispense, "completed", "finished", 1), status: 422, code: "RX_CODE"},
		{name: "validation", path: "/fhir/MedicationDispense/$validate", body: dispense, status: 200},
		{name: "validation of a clinic's", path: "/fhir/MedicationRequest/$validate", body: request, status: 200},
		{name: "a clinic", path: "/fhir/MedicationDispense", body: dispense, status: 403, code: "RX_FORBIDDEN",
			who: func(w *adaptertest.World) adaptertest.Member { return w.Clinic }},
	} {
		w := adaptertest.NewWorld(t)
		w.Open(t, pharmacy.Spec())
		who := w.Pharmacy
		if c.who != nil {
			who = c.who(w)
		}
		resp := w.Do(who, http.MethodPost, c.path, c.body)
		codes := adaptertest.Codes(t, resp)
		if resp.StatusCode != c.status || c.code != "" && (len(codes) != 1 || codes[0] != c.code) {
			t.Errorf("%s: %d %v, want %d %s", c.name, resp.StatusCode, codes, c.status, c.code)
		}
		sent := w.Submit.Published()
		if c.subject == "" && len(sent) > 0 {
			t.Errorf("%s: it entered the stream", c.name)
		}
		if c.subject != "" && (len(sent) != 1 || sent[0].Subject != "rx.intake."+w.Pharmacy.Org.String()+"."+c.subject || string(sent[0].Body) != c.body) {
			t.Errorf("%s: sent %v", c.name, sent)
		}
	}
}
