package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/streams"
)

// entry is what became of one entry of a transaction or batch.
type entry struct {
	streams.Resource
	issues []json.RawMessage
}

// entries are what became of the entries of a batch, or of a transaction that was recorded, in the
// order sent (FHIR R4 http.html#trans-response). nil means that the answer is one for the whole.
func (p posted) entries(a streams.Answer) []entry {
	var out []entry
	switch {
	case p.bundle == "batch":
		out = p.batched(a)
	case p.bundle == "transaction" && a.Status/100 == 2:
		out = p.transacted(a.Resources)
	}
	if out != nil {
		deal(out, a.Issues)
	}
	return out
}

// batched has one entry for each that was sent. A batch of one is answered like a message.
func (p posted) batched(a streams.Answer) []entry {
	resources, sent := a.Resources, p.count()
	if len(resources) == 0 && sent == 1 && a.Status < http.StatusInternalServerError {
		resources = []streams.Resource{{Status: a.Status, Code: a.Code}}
	}
	var out []entry
	for _, res := range resources {
		out = append(out, entry{Resource: res})
	}
	return out
}

// transacted puts the prescriptions or dispenses where they stood. What came with them is part of the
// record and has no address of its own.
func (p posted) transacted(resources []streams.Resource) []entry {
	items := p.items()
	if len(items) != len(resources) {
		return nil
	}
	out := make([]entry, p.count())
	for i := range out {
		out[i].Status = http.StatusOK
	}
	for i, item := range items {
		if item >= len(out) {
			return nil
		}
		out[item].Resource = resources[i]
	}
	return out
}

// items are the entries that a decision was made on: a pharmacy's prescriptions are citations.
func (p posted) items() (all []int) {
	for _, d := range p.read.Dispenses {
		all = append(all, d.Item)
	}
	if all != nil {
		return all
	}
	for _, q := range p.read.Requests {
		all = append(all, q.Item)
	}
	return all
}

// count is how many entries the Bundle has.
func (p posted) count() int {
	bodies, _ := fhir.Split(p.doc)
	return len(bodies)
}

// deal gives each issue to the entry that its expression names, else to the first that was refused
// with its code, else to the last.
func deal(entries []entry, issues json.RawMessage) {
	var all []json.RawMessage
	if json.Unmarshal(issues, &all) != nil {
		return
	}
	for _, issue := range all {
		e := &entries[owner(entries, issue)]
		e.issues = append(e.issues, issue)
	}
}

func owner(entries []entry, issue json.RawMessage) int {
	var seen struct {
		Expression []string
		Details    struct{ Coding []struct{ Code string } }
	}
	_ = json.Unmarshal(issue, &seen) // the recorder's own
	if len(seen.Expression) > 0 {
		rest, ok := strings.CutPrefix(seen.Expression[0], "Bundle.entry[")
		digits, _, _ := strings.Cut(rest, "]")
		if n, err := strconv.Atoi(digits); ok && err == nil && n >= 0 && n < len(entries) {
			return n
		}
	}
	for i, e := range entries {
		if len(seen.Details.Coding) > 0 && e.Code != "" && e.Code == seen.Details.Coding[0].Code && len(e.issues) == 0 {
			return i
		}
	}
	return len(entries) - 1
}

// responses is a transaction-response or batch-response Bundle.
func (s *Service) responses(p posted, entries []entry) []byte {
	type response struct {
		Status   string          `json:"status"`
		Location string          `json:"location,omitempty"`
		Etag     string          `json:"etag,omitempty"`
		Outcome  json.RawMessage `json:"outcome,omitempty"`
	}
	type answered struct {
		Response response `json:"response"`
	}
	out := struct {
		ResourceType string     `json:"resourceType"`
		Type         string     `json:"type"`
		Entry        []answered `json:"entry,omitempty"`
	}{"Bundle", p.bundle + "-response", make([]answered, len(entries))}
	// a dispense is found by its own record, which one among several does not have
	several := len(p.read.Dispenses) > 1
	for i, e := range entries {
		res := response{Status: strings.TrimSpace(strconv.Itoa(e.Status) + " " + http.StatusText(e.Status))}
		if placed(e.Resource) && (e.Type == streams.TypeMedicationRequest || !several) {
			res.Location, res.Etag = s.location(e.Resource), etag(e.Version)
		}
		if len(e.issues) > 0 {
			res.Outcome = fhir.OutcomeFrom(array(e.issues))
		}
		out.Entry[i].Response = res
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(out) // our own strings and the recorder's valid JSON
	return b.Bytes()
}

func array(issues []json.RawMessage) []byte {
	b := []byte{'['}
	for i, issue := range issues {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, issue...)
	}
	return append(b, ']')
}
