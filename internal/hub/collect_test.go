package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/clinic"
	"github.com/dosewire/dosewire/adapters/inbox"
	"github.com/dosewire/dosewire/adapters/pharmacy"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// ask sends one request as an organisation. Headers are given as "Name: value".
func ask(t *testing.T, who admin.Credential, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, who.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+who.Token)
	r.Header.Set("Content-Type", "application/fhir+json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func wantAnswer(t *testing.T, resp *http.Response, body string, status int, has string) {
	t.Helper()
	if resp.StatusCode != status || !strings.Contains(body, has) {
		t.Errorf("%s %s: %d %s, want %d and %s", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode, body, status, has)
	}
}

// prescription is an order that names no pharmacy; more goes in front of its status.
func prescription(id, drug, more string) string {
	return fmt.Sprintf(`{"resourceType":"MedicationRequest",
 "contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"M-1"}],"name":[{"family":"Lindqvist"}],"birthDate":"1979-06-02"},
  {"resourceType":"Practitioner","id":"d","identifier":[{"system":"urn:npi","value":"1"}],"name":[{"family":"Okafor"}]}],
 "identifier":[{"system":"urn:rx","value":"%s"}],%s"status":"active","intent":"order","medicationCodeableConcept":{"text":"%s"},
 "subject":{"reference":"#p"},"requester":{"reference":"#d"},"dosageInstruction":[{"text":"one"}]}`, id, more, drug)
}

const bareDispense = `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s","medicationCodeableConcept":{"text":"x"}}`

// surfaces are what organisations and patients see.
func surfaces() []adapters.Spec {
	return []adapters.Spec{clinic.Spec(), pharmacy.Spec(), inbox.Spec()}
}

// members adds organisations.
func members(t *testing.T, h *Hub, kinds ...string) (all []admin.Credential) {
	t.Helper()
	for i, kind := range kinds {
		c, err := admin.NewClient(h.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: kind, Name: fmt.Sprint(kind, i)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestCollect is the way of a code: the patient's page, a pharmacy's counter, and nowhere else. The secret
// is in no log and no stream.
func TestCollect(t *testing.T) {
	log := &diaryLog{}
	h, err := New(t.Context(), lab(t), Options{Adapters: surfaces(), Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, h, log)
	who := members(t, h, "clinic", "pharmacy", "pharmacy")
	order := prescription("A-1", "Ibuprofen 400 mg", "")
	resp, body := ask(t, who[0], "POST", "/fhir/MedicationRequest", order)
	wantAnswer(t, resp, body, 201, "RX_RECORDED")
	id := resp.Header.Get("Rx-Id")

	code := patientsCode(t, h, who[0], id)
	md := fmt.Sprintf(bareDispense, "D-1", "preparation")
	wrong := collect.Code{Locator: code.Locator, Secret: strings.Repeat("a", len(code.Secret))}
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationRequest/$collect", md, "Rx-Collect: "+wrong.String())
	wantAnswer(t, resp, body, 409, "RX_COLLECT_CODE")
	if resp.Header.Get("Rx-Id") != "" || resp.Header.Get("Rx-State") != "" {
		t.Errorf("a wrong code tells: %v", resp.Header)
	}
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationRequest/$collect", md, "Rx-Collect: "+strings.ToUpper(code.String()))
	wantAnswer(t, resp, body, 201, order) // the prescription, byte for byte
	if resp.Header.Get("Rx-Claim") != "1" || resp.Header.Get("Rx-State") != "held" || resp.Header.Get("Rx-Id") != id || !strings.Contains(resp.Header.Get("Location"), "/fhir/MedicationDispense/") {
		t.Errorf("headers: %v", resp.Header)
	}
	if !json.Valid([]byte(body)) {
		t.Errorf("no JSON: %s", body)
	}
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationRequest/$collect", md, "Rx-Collect: "+code.String())
	wantAnswer(t, resp, body, 200, order)
	if resp.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same request: %v", resp.Header)
	}
	resp, body = ask(t, who[1], "POST", "/fhir/MedicationRequest/$collect", md, "Rx-Collect: "+code.String())
	wantAnswer(t, resp, body, 409, "RX_COLLECT_CODE")
	resp, body = ask(t, who[2], "GET", "/fhir/MedicationRequest/"+id, "")
	wantAnswer(t, resp, body, 200, "Ibuprofen")
	resp, body = ask(t, who[1], "GET", "/fhir/MedicationRequest/"+id, "")
	wantAnswer(t, resp, body, 404, "RX_NOT_FOUND")
	for name, headers := range map[string][]string{"none": nil, "no code": {"Rx-Collect: hello"}} {
		if resp, body := ask(t, who[2], "POST", "/fhir/MedicationRequest/$collect", md, headers...); resp.StatusCode/100 != 4 || !strings.Contains(body, "header Rx-Collect") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationDispense", fmt.Sprintf(bareDispense, "D-2", "completed"), "Rx-Collect: "+code.String())
	wantAnswer(t, resp, body, 501, "RX_NOT_SERVED")
	resp, body = ask(t, who[0], "POST", "/fhir/MedicationRequest/$collect", md, "Rx-Collect: "+code.String())
	wantAnswer(t, resp, body, 403, "RX_FORBIDDEN")

	noSecret(t, h, log.String(), code.Secret)
}

// patientsCode signs the patient in and makes a code on the inbox's page.
func patientsCode(t *testing.T, h *Hub, clinic admin.Credential, id string) collect.Code {
	t.Helper()
	i, err := admin.NewClient(h.AdminSocket()).Invite(t.Context(), admin.Patient{Org: clinic.Org, System: "urn:mrn", Value: "M-1"})
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	post := func(path string, form url.Values) string {
		resp, err := browser.PostForm(h.URL()+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
		return string(page)
	}
	post("/inbox/s", url.Values{"token": {i.URL[strings.LastIndex(i.URL, "/")+1:]}})
	page := post("/inbox/p/"+id+"/code", nil)
	found := regexp.MustCompile(`code-text" translate="no">([^<]*)<`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no code on the page:\n%s", page)
	}
	code, ok := collect.Parse(found[1])
	if !ok {
		t.Fatalf("no code: %s", found[1])
	}
	return code
}

// noSecret looks for a secret in the log and in everything that RX_INTAKE and RX_DELIVERY hold.
func noSecret(t *testing.T, h *Hub, log, secret string) {
	t.Helper()
	if strings.Contains(log, secret) {
		t.Error("the secret is in the log")
	}
	seen := 0
	for deadline := time.Now().Add(5 * time.Second); seen < 5 && time.Now().Before(deadline); { // not all may be announced yet
		seen = lookFor(t, h, secret)
	}
	if seen < 5 {
		t.Errorf("only %d messages were looked at", seen)
	}
}

// lookFor says how many messages there are in the streams, and fails on those that hold the secret.
func lookFor(t *testing.T, h *Hub, secret string) (seen int) {
	t.Helper()
	for _, name := range []string{streams.Intake, streams.Delivery} {
		s, err := h.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := s.CachedInfo().State
		for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
			m, err := s.GetMsg(t.Context(), seq)
			if err != nil {
				continue // acknowledged
			}
			seen++
			if all := fmt.Sprint(m.Header, string(m.Data)); strings.Contains(strings.ToLower(all), secret) {
				t.Errorf("the secret is in %s: %s", name, m.Subject)
			}
		}
	}
	return seen
}

// TestConditionsOverREST: conditional create, amendment, renewal, on the real hub.
func TestConditionsOverREST(t *testing.T) {
	c := lab(t)
	c.Prescriptions.Directed = []string{"urn:category|directed"}
	h, _ := run(t, c, surfaces()...)
	who := members(t, h, "clinic", "clinic", "pharmacy")
	order := prescription("A-1", "Ibuprofen 400 mg", "")
	none := "If-None-Exist: identifier=urn:rx|A-1"
	resp, body := ask(t, who[0], "POST", "/fhir/MedicationRequest", order, none)
	wantAnswer(t, resp, body, 201, "RX_RECORDED")
	id, place := resp.Header.Get("Rx-Id"), resp.Header.Get("Location")
	resp, body = ask(t, who[0], "POST", "/fhir/MedicationRequest", order, none, "Idempotency-Key: other")
	wantAnswer(t, resp, body, 200, "RX_EXISTS")
	if resp.Header.Get("Location") != place || resp.Header.Get("Rx-Index") != "" || resp.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("exists: %v", resp.Header)
	}
	for _, search := range []string{"identifier=A-1", "identifier=urn:rx|A-2", "identifier=urn:rx|A-1,urn:rx|A-2", "identifier=urn:rx|A-1&status=active",
		"status=active", "identifier:exact=urn:rx|A-1", "identifier=urn:rx|", "%zz"} {
		resp, body := ask(t, who[0], "POST", "/fhir/MedicationRequest", order, "If-None-Exist: "+search)
		wantAnswer(t, resp, body, 501, "header If-None-Exist")
	}
	resp, body = ask(t, who[0], "POST", "/fhir", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+order+`}]}`, none)
	wantAnswer(t, resp, body, 501, "header If-None-Exist")

	other := prescription("A-1", "Ibuprofen 600 mg", "")
	for name, match := range map[string][]string{"none": nil, "old": {`If-Match: W/"9"`}, "any": {"If-Match: *"}} {
		resp, body := ask(t, who[0], "PUT", "/fhir/MedicationRequest/"+id, other, match...)
		if resp.StatusCode != 412 || !strings.Contains(body, "RX_VERSION") {
			t.Errorf("If-Match %s: %d %s", name, resp.StatusCode, body)
		}
	}
	resp, body = ask(t, who[1], "PUT", "/fhir/MedicationRequest/"+id, other, `If-Match: W/"1"`)
	wantAnswer(t, resp, body, 404, "RX_NOT_FOUND")
	resp, body = ask(t, who[0], "PUT", "/fhir/MedicationRequest/"+id, other, `If-Match: W/"1"`)
	wantAnswer(t, resp, body, 200, "RX_RECORDED")
	if resp.Header.Get("ETag") != `W/"2"` || !strings.HasSuffix(resp.Header.Get("Location"), id+"/_history/2") {
		t.Errorf("amended: %v", resp.Header)
	}
	resp, body = ask(t, who[0], "GET", "/fhir/MedicationRequest/"+id, "")
	wantAnswer(t, resp, body, 200, "600 mg")
	if resp.Header.Get("ETag") != `W/"2"` {
		t.Errorf("read: %v", resp.Header)
	}

	code := patientsCode(t, h, who[0], id)
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationRequest/$collect", fmt.Sprintf(bareDispense, "D-1", "completed"), "Rx-Collect: "+code.String())
	wantAnswer(t, resp, body, 201, other)
	renewal := strings.Replace(prescription("ask-1", "Ibuprofen 600 mg", `"priorPrescription":{"reference":"MedicationRequest/`+id+`"},`), `"order"`, `"proposal"`, 1)
	resp, body = ask(t, who[2], "POST", "/fhir/MedicationRequest", renewal)
	wantAnswer(t, resp, body, 201, "RX_RECORDED")
	resp, body = ask(t, who[0], "GET", "/fhir/$deliveries", "")
	wantAnswer(t, resp, body, 200, renewal)

	directed := prescription("A-2", "Ibuprofen 400 mg", `"category":[{"coding":[{"system":"urn:category","code":"directed"}]}],`)
	resp, body = ask(t, who[0], "POST", "/fhir/MedicationRequest", directed)
	wantAnswer(t, resp, body, 201, "RX_RECORDED")
	row, err := h.databases.records.Prescription(context.Background(), uuid.MustParse(resp.Header.Get("Rx-Id")))
	if err != nil || !strings.Contains(string(row.State), `"directed":true`) {
		t.Errorf("directed by configuration: %s %v", row.State, err)
	}
}
