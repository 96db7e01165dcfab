package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dosewire/dosewire/internal/hub/admin"
)

// promptness is how long a clinic waits for a receipt at most, from before it posts.
const promptness = 2500 * time.Millisecond

// prompt posts prescriptions one after the other, spread over the seconds, and demands the receipt of
// each within promptness. The last one's receipt and message are left in the files rx.tlog-proof and
// rx.json. It prints the slowest.
func prompt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: prompt CREDENTIAL COUNT")
	}
	var who admin.Credential
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &who))
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	var slowest, all time.Duration
	for n := range count {
		time.Sleep(time.Duration(n) * 137 * time.Millisecond) // another place between two ticks of the notary
		body := fmt.Appendf(nil, `{"resourceType":"MedicationRequest","status":"active","intent":"order",
  "identifier":[{"system":"https://riverside.example/rx","value":"P-%d"}],
  "contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Test"}],"birthDate":"1980-02-03","identifier":[{"system":"https://riverside.example/mrn","value":"P-%d"}]}],
  "medicationCodeableConcept":{"text":"Amoxicillin 500 mg"},"subject":{"reference":"#p"},
  "authoredOn":"2026-03-01","requester":{"display":"Dr Reed"},"dosageInstruction":[{"text":"one three times a day"}]}`, n, n)
		began := time.Now()
		status, header, answer := call(ts, who, http.MethodPost, who.URL+"/fhir/MedicationRequest", body)
		if status != http.StatusCreated {
			ts.Fatalf("post: %d %s", status, answer)
		}
		receipt := awaitReceipt(ts, who, recordOf(header.Get("Location")), began)
		took := time.Since(began)
		slowest, all = max(slowest, took), all+took
		ts.Check(os.WriteFile(ts.MkAbs("rx.tlog-proof"), receipt, 0o644))
		ts.Check(os.WriteFile(ts.MkAbs("rx.json"), body, 0o644))
	}
	fmt.Fprintf(ts.Stdout(), "%d receipts, the slowest after %v, on average %v\n", count, slowest.Round(time.Millisecond), (all / time.Duration(count)).Round(time.Millisecond))
	ts.Logf("%d receipts, the slowest after %v", count, slowest)
}

// recordOf leaves the version out of a Location.
func recordOf(location string) string {
	before, _, _ := bytes.Cut([]byte(location), []byte("/_history/"))
	return string(before)
}

func awaitReceipt(ts *testscript.TestScript, who admin.Credential, record string, began time.Time) []byte {
	for {
		status, header, body := call(ts, who, http.MethodGet, record+"/$receipt", nil)
		switch {
		case status == http.StatusOK && time.Since(began) <= promptness:
			return body
		case time.Since(began) > promptness:
			ts.Fatalf("no receipt after %v: %d %s", time.Since(began), status, body)
		case status != http.StatusServiceUnavailable || header.Get("Retry-After") == "":
			ts.Fatalf("receipt: %d %s", status, body)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

func call(ts *testscript.TestScript, who admin.Credential, method, url string, body []byte) (int, http.Header, []byte) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+who.Token)
	r.Header.Set("Content-Type", "application/fhir+json")
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, resp.Header, answer
}
