package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/adapters/rest"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// world mounts everything of the package for both roles.
// world has the service for both roles; change may alter what it is made of.
func world(t *testing.T, change ...func(*adapters.Deps)) *adaptertest.World {
	t.Helper()
	w := adaptertest.NewWorld(t)
	for _, f := range change {
		f(&w.Deps)
	}
	mount(w, auth.Clinic, auth.Pharmacy)
	return w
}

func mount(w *adaptertest.World, roles ...auth.Role) {
	s := rest.New(w.Deps)
	for _, role := range roles {
		w.Deps.Routes.System("POST /fhir", role, s.Take("Bundle", "MedicationRequest", "MedicationDispense"))
		w.Deps.Routes.System("GET /fhir/MedicationRequest/{id}", role, s.ReadRequest())
		w.Deps.Routes.System("GET /fhir/MedicationRequest/{id}/_history", role, s.History())
		w.Deps.Routes.System("GET /fhir/Task", role, s.SearchTasks())
		w.Deps.Routes.System("GET /fhir/Task/{id}", role, s.ReadTask())
		w.Deps.Routes.System("GET /fhir/MedicationRequest/{id}/_history/{version}", role, s.ReadRequest())
		w.Deps.Routes.System("GET /fhir/MedicationRequest/{id}/$original", role, s.Original())
		w.Deps.Routes.System("GET /fhir/MedicationRequest/{id}/$receipt", role, s.Receipt())
		w.Deps.Routes.System("GET /fhir/MedicationDispense/{id}", role, s.ReadDispense())
		w.Deps.Routes.System("GET /fhir/MedicationDispense/{id}/_history/{version}", role, s.ReadDispense())
		w.Deps.Routes.System("GET /fhir/Bundle/{id}", role, s.ReadBundle())
		w.Deps.Routes.System("POST /fhir/{type}/$validate", role, s.Validate())
		w.Deps.Routes.System("GET /fhir/$deliveries", role, s.Deliveries())
	}
}

func post(w *adaptertest.World, body string, headers ...string) *http.Response {
	return w.Do(w.Clinic, http.MethodPost, "/fhir", body, headers...)
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// recorded answers that one prescription was issued.
func recorded(record uuid.UUID) streams.Answer {
	index := uint64(41)
	return streams.Answer{Status: 201, Index: &index, Leaf: "ab12", Record: record.String(),
		Resources: []streams.Resource{{Type: "MedicationRequest", ID: record.String(), Version: 1, Rx: record.String(), State: "ready", Claim: 3, Status: 201}},
		Issues:    fhir.IssuesJSON([]fhir.Issue{{Severity: "warning", Code: "informational", ID: string(fault.CodeNoDosage), Text: "x"}})}
}

func always(a streams.Answer) func(streams.Message) (streams.Answer, error) {
	return func(streams.Message) (streams.Answer, error) { return a, nil }
}

func TestCreated(t *testing.T) {
	w := world(t)
	record := uuid.Must(uuid.NewV7())
	w.Submit.Answer = always(recorded(record))
	resp := post(w, adaptertest.Request("rx-1"))
	if resp.StatusCode != 201 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	for name, want := range map[string]string{
		"Location": adaptertest.BaseURL + "/fhir/MedicationRequest/" + record.String() + "/_history/1",
		"ETag":     `W/"1"`, "Rx-Index": "41", "Rx-Leaf": "ab12", "Rx-Id": record.String(), "Rx-State": "ready", "Rx-Claim": "3",
		"Content-Type": "application/fhir+json; charset=utf-8", "Idempotent-Replayed": "", "Cache-Control": "no-store",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := http.ParseTime(resp.Header.Get("Last-Modified")); err != nil {
		t.Errorf("Last-Modified: %v", err)
	}
	if codes := adaptertest.Codes(t, resp); len(codes) != 1 || codes[0] != "RX_NO_DOSAGE" {
		t.Errorf("the warning is not seen: %v", codes)
	}
}

func TestReplay(t *testing.T) {
	for first, again := range map[int]int{201: 200, 200: 200, 409: 409} {
		w := world(t)
		a := recorded(uuid.Must(uuid.NewV7()))
		a.Status, a.Replayed, a.Resources[0].State = first, true, "completed"
		w.Submit.Answer = always(a)
		resp := post(w, adaptertest.Request("rx-1"))
		if resp.StatusCode != again || resp.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("first %d: status %d, replayed %q", first, resp.StatusCode, resp.Header.Get("Idempotent-Replayed"))
		}
		if got := resp.Header.Get("Rx-State"); got != "completed" {
			t.Errorf("present state %q", got)
		}
		if led := resp.Header.Get("Location") != ""; led != (first < 300) {
			t.Errorf("first %d: Location %q", first, resp.Header.Get("Location"))
		}
	}
}

func TestPrefer(t *testing.T) {
	request := adaptertest.Request("rx-1")
	bundle := adaptertest.Bundle("message", "m-1", request)
	for _, c := range []struct {
		prefer, body string
		want         string // resourceType of the answer; "" = no body
	}{
		{"", request, "OperationOutcome"},
		{"return=OperationOutcome", request, "OperationOutcome"},
		{"return=minimal", request, ""},
		{"respond-async; wait=10, return=Minimal", request, ""},
		{"return=representation", request, "MedicationRequest"},
		{"return=presentation", request, "OperationOutcome"}, // what fhirclient really sends
		{"return=minimalist", request, "OperationOutcome"},
		{"return=representation", bundle, "OperationOutcome"},
	} {
		w := world(t)
		record := uuid.Must(uuid.NewV7())
		w.Submit.Answer = always(recorded(record))
		body := text(t, post(w, c.body, "Prefer: "+c.prefer))
		var got struct{ ResourceType, ID string }
		if body != "" {
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%q: %v", c.prefer, err)
			}
		}
		if got.ResourceType != c.want {
			t.Errorf("%q: got %q, want %q", c.prefer, got.ResourceType, c.want)
		}
		if c.want == "MedicationRequest" && (got.ID != record.String() || !strings.Contains(body, `"versionId":"1"`) || !strings.Contains(body, "rx-state")) {
			t.Errorf("the representation is not what a read gives: %s", body)
		}
	}
}

func TestRefusalsOfTheRecorder(t *testing.T) {
	for code, want := range map[fault.Code]struct {
		status int
		retry  string
	}{
		fault.CodeHeldByOther: {409, ""}, fault.CodeIDReused: {409, ""}, fault.CodeUnresolved: {422, "5"},
		fault.CodeUnavailable: {503, "1"}, fault.CodeErased: {410, ""}, fault.CodeIncomplete: {422, ""},
	} {
		w := world(t)
		err := fault.Of(code)
		w.Submit.Answer = always(streams.Answer{Status: fault.Status(err), Code: string(code), Issues: fhir.IssuesJSON([]fhir.Issue{fhir.IssueOf(err)})})
		resp := post(w, adaptertest.Request("rx-1"))
		if codes := adaptertest.Codes(t, resp); resp.StatusCode != want.status || len(codes) != 1 || codes[0] != string(code) {
			t.Errorf("%s: status %d, codes %v", code, resp.StatusCode, codes)
		}
		if got := resp.Header.Get("Retry-After"); got != want.retry {
			t.Errorf("%s: Retry-After %q, want %q", code, got, want.retry)
		}
		if got := resp.Header.Get("Location"); got != "" {
			t.Errorf("%s: Location %q", code, got)
		}
	}
}

func TestPending(t *testing.T) {
	w := world(t)
	w.Submit.Answer = func(streams.Message) (streams.Answer, error) { return streams.Answer{}, fault.Of(fault.CodePending) }
	resp := post(w, adaptertest.Request("rx-1"))
	if codes := adaptertest.Codes(t, resp); resp.StatusCode != 503 || len(codes) != 1 || codes[0] != "RX_PENDING" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, codes %v, Retry-After %q", resp.StatusCode, codes, resp.Header.Get("Retry-After"))
	}
}

// A failure of our own is answered without its text, and can be found in the log.
func TestInternal(t *testing.T) {
	w := world(t)
	w.Submit.Answer = func(streams.Message) (streams.Answer, error) {
		return streams.Answer{}, fault.New(fault.Internal, "the left valve is stuck")
	}
	resp := post(w, adaptertest.Request("rx-1"))
	body := text(t, resp)
	if resp.StatusCode != 500 || strings.Contains(body, "valve") {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	_, id, found := strings.Cut(body, "Correlation id: ")
	if !found || !strings.Contains(w.Log(), "correlation="+id[:36]) || !strings.Contains(w.Log(), "the left valve is stuck") {
		t.Errorf("the log does not have what %s promises:\n%s", body, w.Log())
	}
}

func TestMessageID(t *testing.T) {
	request := adaptertest.Request("rx-1")
	for _, c := range []struct {
		name, body string
		headers    []string
		want       string // after "<org>."; a trailing * stands for a hash
	}{
		{"key", request, []string{"Idempotency-Key: k-1"}, "k-1"},
		{"key before MessageHeader.id", adaptertest.Bundle("message", "m-1", request), []string{"Idempotency-Key: k-1"}, "k-1"},
		{"MessageHeader.id", adaptertest.Bundle("message", "m-1", request), nil, "m-1"},
		{"business identity", request, nil, "~*"},
		{"batch", adaptertest.Bundle("batch", "", request), nil, "~*"},
		{"key with a space", request, []string{"Idempotency-Key: k 1"}, "#*"},
		{"long key", request, []string{"Idempotency-Key: " + strings.Repeat("k", 300)}, "#*"},
	} {
		w := world(t)
		post(w, c.body, c.headers...)
		sent := w.Submit.Published()
		if len(sent) != 1 {
			t.Errorf("%s: %d messages", c.name, len(sent))
			continue
		}
		id, mine := strings.CutPrefix(sent[0].ID, w.Clinic.Org.String()+".")
		if prefix, hashed := strings.CutSuffix(c.want, "*"); !mine || !hashed && id != c.want || hashed && (!strings.HasPrefix(id, prefix) || len(id) != len(prefix)+64) {
			t.Errorf("%s: id %q, want %q", c.name, sent[0].ID, c.want)
		}
		if string(sent[0].Body) != c.body {
			t.Errorf("%s: the body is not what was received", c.name)
		}
		if want := "rx.intake." + w.Clinic.Org.String() + "."; !strings.HasPrefix(sent[0].Subject, want) {
			t.Errorf("%s: subject %q", c.name, sent[0].Subject)
		}
	}
}

// The same body has the same id, so that the recorder tells it is a repeat; another body another.
func TestMessageIDOfBytes(t *testing.T) {
	w := world(t)
	for _, body := range []string{adaptertest.Request("rx-1"), adaptertest.Request("rx-1"), adaptertest.Request("rx-2")} {
		post(w, body)
	}
	sent := w.Submit.Published()
	if len(sent) != 3 || sent[0].ID != sent[1].ID || sent[0].ID == sent[2].ID {
		t.Errorf("%d messages, ids %v", len(sent), sent)
	}
}

func TestStatedClaim(t *testing.T) {
	dispense := adaptertest.Dispense("d-1", "rx-1")
	for _, c := range []struct {
		header, want string
		status       int
	}{
		{"", "", 201}, {"Rx-Claim: 7", "7", 201}, {`If-Match: W/"7"`, "7", 201}, {`If-Match: "7"`, "7", 201},
		{"Rx-Claim: seven", "", 422}, {"Rx-Claim: 0", "", 422}, {"If-Match: *", "", 422},
	} {
		w := world(t)
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		resp := w.Do(w.Pharmacy, http.MethodPost, "/fhir", dispense, headers...)
		if resp.StatusCode != c.status {
			t.Errorf("%q: status %d, want %d", c.header, resp.StatusCode, c.status)
		}
		if sent := w.Submit.Published(); c.status == 201 && (len(sent) != 1 || sent[0].Header.Get("Rx-Claim") != c.want) {
			t.Errorf("%q: sent %v", c.header, sent)
		}
	}
}

// A body whose length is not said is read no further than the limit.
func TestChunkedBody(t *testing.T) {
	w := world(t)
	request := adaptertest.Request("rx-1")
	for size, want := range map[int]int{0: 201, 2 << 20: 413} {
		r, err := http.NewRequest(http.MethodPost, "/fhir", io.MultiReader(strings.NewReader(request), strings.NewReader(strings.Repeat(" ", size))))
		if err != nil {
			t.Fatal(err)
		}
		if resp := w.Send(w.Clinic, r); resp.StatusCode != want {
			t.Errorf("%d bytes more: status %d, want %d", size, resp.StatusCode, want)
		}
	}
}

func TestTransactionAndBatchResponses(t *testing.T) {
	a, b := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	patient := `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"Moreno"}],"birthDate":"1980-02-01"}`
	location := func(id string) string { return adaptertest.BaseURL + "/fhir/MedicationRequest/" + id + "/_history/1" }
	mr := func(id string) streams.Resource {
		return streams.Resource{Type: "MedicationRequest", ID: id, Version: 1, Status: 201}
	}
	refusal := streams.Resource{Status: 422, Code: string(fault.CodeNotAnOrder)}
	issue := func(code fault.Code, at string) fhir.Issue {
		return fhir.Issue{Severity: "error", Code: "x", ID: string(code), Text: "x", Expression: at}
	}
	remark := func(at string) fhir.Issue {
		return fhir.Issue{Severity: "information", Code: "informational", ID: string(fault.CodeRecorded), Text: "x", Expression: at}
	}
	signal := fhir.Issue{Severity: "information", Code: "informational", ID: string(fault.CodeSafetySignal), Text: "x", Expression: "MedicationRequest"}
	counted := func(r streams.Resource, issues int) streams.Resource {
		r.Issues = issues
		return r
	}
	type entry struct{ status, location, codes string }
	for _, c := range []struct {
		name   string
		bundle string
		answer streams.Answer
		status int
		kind   string // "" = an OperationOutcome
		want   []entry
	}{
		{"transaction", adaptertest.Bundle("transaction", "", patient, adaptertest.Request("1"), adaptertest.Request("2")),
			streams.Answer{Status: 201, Resources: []streams.Resource{mr(a), mr(b)}, Issues: fhir.IssuesJSON([]fhir.Issue{remark("Bundle.entry[2].resource")})},
			200, "transaction-response", []entry{{"200 OK", "", ""}, {"201 Created", location(a), ""}, {"201 Created", location(b), "RX_RECORDED"}}},
		{"batch", adaptertest.Bundle("batch", "", adaptertest.Request("1"), patient, adaptertest.Request("2")),
			streams.Answer{Status: 200, Resources: []streams.Resource{mr(a), refusal, mr(b)}, Issues: fhir.IssuesJSON([]fhir.Issue{
				remark("MedicationRequest"), issue(fault.CodeNotAnOrder, "MedicationRequest.intent"), remark("Bundle.entry[2].resource")})},
			200, "batch-response", []entry{{"201 Created", location(a), "RX_RECORDED"}, {"422 Unprocessable Entity", "", "RX_NOT_AN_ORDER"}, {"201 Created", location(b), "RX_RECORDED"}}},
		{"batch whose entries have several issues each", adaptertest.Bundle("batch", "", adaptertest.Request("1"), adaptertest.Request("2"), adaptertest.Request("3")),
			streams.Answer{Status: 200, Resources: []streams.Resource{counted(mr(a), 2), counted(refusal, 2), counted(mr(b), 1)}, Issues: fhir.IssuesJSON([]fhir.Issue{
				remark("MedicationRequest"), signal, issue(fault.CodeNotAnOrder, "MedicationRequest.intent"), issue(fault.CodeIncomplete, "MedicationRequest.subject"), remark("MedicationRequest")})},
			200, "batch-response", []entry{{"201 Created", location(a), "RX_RECORDED RX_SAFETY_SIGNAL"}, {"422 Unprocessable Entity", "", "RX_NOT_AN_ORDER RX_INCOMPLETE"}, {"201 Created", location(b), "RX_RECORDED"}}},
		{"batch of one, refused", adaptertest.Bundle("batch", "", adaptertest.Request("1")),
			streams.Answer{Status: 422, Code: string(fault.CodeIncomplete), Issues: fhir.IssuesJSON([]fhir.Issue{issue(fault.CodeIncomplete, "Bundle.entry[0].resource.requester")})},
			200, "batch-response", []entry{{"422 Unprocessable Entity", "", "RX_INCOMPLETE"}}},
		{"refused transaction", adaptertest.Bundle("transaction", "", adaptertest.Request("1")),
			streams.Answer{Status: 422, Code: string(fault.CodeIncomplete), Issues: fhir.IssuesJSON([]fhir.Issue{issue(fault.CodeIncomplete, "")})},
			422, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world(t)
			w.Submit.Answer = always(c.answer)
			resp := post(w, c.bundle)
			body := text(t, resp)
			if resp.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.status, body)
			}
			var got struct {
				ResourceType, Type string
				Entry              []struct {
					Response struct {
						Status, Location string
						Outcome          struct {
							Issue []struct {
								Details struct{ Coding []struct{ Code string } }
							}
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if got.Type != c.kind || (c.kind == "") != (got.ResourceType == "OperationOutcome") {
				t.Fatalf("%s %s", got.ResourceType, got.Type)
			}
			var entries []entry
			for _, e := range got.Entry {
				var codes []string
				for _, i := range e.Response.Outcome.Issue {
					codes = append(codes, i.Details.Coding[0].Code)
				}
				entries = append(entries, entry{e.Response.Status, e.Response.Location, strings.Join(codes, " ")})
			}
			if fmt.Sprint(entries) != fmt.Sprint(c.want) {
				t.Errorf("entries %v\nwant    %v", entries, c.want)
			}
		})
	}
}

// A message with several resources is found as a whole.
func TestLocationOfAMessage(t *testing.T) {
	w := world(t)
	record := uuid.Must(uuid.NewV7())
	a := recorded(record)
	a.Resources = append(a.Resources, a.Resources[0])
	w.Submit.Answer = always(a)
	resp := post(w, adaptertest.Bundle("message", "m-1", adaptertest.Request("1"), adaptertest.Request("2")))
	if got, want := resp.Header.Get("Location"), adaptertest.BaseURL+"/fhir/Bundle/"+record.String()+"/_history/1"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	if resp.Header.Get("Rx-Id") != "" || resp.Header.Get("Rx-State") != "" {
		t.Error("headers about one resource in an answer about two")
	}
}

// TestSignatureIsCarried: as it came, if it can travel at all. What it is worth is for the recorder.
func TestSignatureIsCarried(t *testing.T) {
	const code = `"code":"RX_SIGNATURE_MALFORMED"`
	long := strings.Repeat("A", 16<<10)
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{nil, 201}, {[]string{"Rx-Signature: a..b"}, 201}, {[]string{"Rx-Signature: anything"}, 201}, {[]string{"Rx-Signature: " + long}, 201},
		{[]string{"Rx-Signature: " + long + "A"}, 422}, {[]string{"Rx-Signature: a b"}, 422}, {[]string{"Rx-Signature: \xe9"}, 422},
	} {
		w := world(t)
		resp := post(w, adaptertest.Request("rx-1"), c.headers...)
		if answer := text(t, resp); resp.StatusCode != c.status || c.status == 422 && (!strings.Contains(answer, code) || !strings.Contains(answer, "header Rx-Signature")) {
			t.Errorf("%.40v: %d %s", c.headers, resp.StatusCode, answer)
		}
		sent := w.Submit.Published()
		if (c.status == 201) != (len(sent) == 1) {
			t.Fatalf("%.40v: %d published", c.headers, len(sent))
		}
		if c.status == 201 && c.headers != nil && "Rx-Signature: "+sent[0].Header.Get("Rx-Signature") != c.headers[0] {
			t.Errorf("%.40v: carried %.40v", c.headers, sent[0].Header)
		}
	}
	w := world(t)
	w.Submit.Answer = func(streams.Message) (streams.Answer, error) {
		a := recorded(uuid.Must(uuid.NewV7()))
		a.Signature = "failed;reason=expired"
		return a, nil
	}
	if got := post(w, adaptertest.Request("rx-1")).Header.Get("Rx-Signature-Verdict"); got != "failed;reason=expired" {
		t.Errorf("verdict %q", got)
	}
}
