package rest

import (
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

// deal gives each issue to the entry that it is about. A batch's answer counts them.
func deal(entries []entry, issues json.RawMessage) {
	var all []json.RawMessage
	if json.Unmarshal(issues, &all) != nil {
		return
	}
	for i := range entries {
		own := min(entries[i].Resource.Issues, len(all))
		entries[i].issues, all = all[:own:own], all[own:]
	}
	for _, raw := range all {
		var seen said
		_ = json.Unmarshal(raw, &seen) // the recorder's own
		e := &entries[owner(entries, seen)]
		e.issues = append(e.issues, raw)
	}
}

// said is as much of an issue as tells what it is about.
type said struct {
	Severity   string
	Expression []string
	Details    struct{ Coding []struct{ Code string } }
}

// owner is the entry that the expression names; else the first without an issue that was refused with
// this code, or, for a remark, that was recorded; else the last.
func owner(entries []entry, issue said) int {
	if n, ok := named(issue.Expression); ok && n < len(entries) {
		return n
	}
	code := ""
	if len(issue.Details.Coding) > 0 {
		code = issue.Details.Coding[0].Code
	}
	remark := issue.Severity == "information" || issue.Severity == "warning"
	for i, e := range entries {
		recorded := e.Status/100 == 2
		if len(e.issues) == 0 && (remark && recorded || !remark && !recorded && e.Code == code) {
			return i
		}
	}
	return len(entries) - 1
}

// named reads the index in Bundle.entry[n].
func named(expressions []string) (n int, ok bool) {
	if len(expressions) == 0 {
		return 0, false
	}
	rest, ok := strings.CutPrefix(expressions[0], "Bundle.entry[")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "]")
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}

// responses is a transaction-response or batch-response Bundle.
func (s *Service) responses(p posted, entries []entry) ([]byte, error) {
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
	return marshal(out)
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
