package recorder

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// reference names where a prescription's text stands: the record, and for a Bundle the entry.
func (t *draft) reference(item int) string {
	if t.unit.doc != nil && t.unit.doc.Type() == streams.TypeBundle {
		return t.id.String() + "#" + strconv.Itoa(item)
	}
	return t.id.String()
}

// parseReference reads what reference wrote. item is -1 for a bare resource.
func parseReference(s string) (record ledger.ID, item int, ok bool) {
	id, entry, bundled := strings.Cut(s, "#")
	record, err := uuid.Parse(id)
	if err != nil {
		return record, -1, false
	}
	if !bundled {
		return record, -1, true
	}
	item, err = strconv.Atoi(entry)
	return record, item, err == nil
}

// effects turns what the state machine wants into numbered rows' worth of effects: one delivery for
// each receiver and cause, however many items of a Bundle it gets.
func (t *draft) effects() []ledger.Effect {
	var out []ledger.Effect
	at := map[string]int{} // receiver and record → position in out
	for _, c := range t.consequent {
		e := ledger.Effect{Kind: ledger.EffectDeliver, Org: parseID(c.Org), Prescription: c.p.row.ID,
			Claim: c.p.state.Claim, State: c.p.state.Status()}
		switch c.Kind {
		case rx.Wake:
			e = ledger.Effect{Kind: ledger.EffectWake, Patient: c.p.row.Patient, Type: c.What, Prescription: c.p.row.ID, State: e.State}
			if same(out, e) {
				continue
			}
		case rx.Tell:
			e.Type, e.Body = "OperationOutcome", fhir.Outcome([]fhir.Issue{told(c.Code)})
		case rx.Offer, rx.Forward:
			source := t.reference(c.item)
			if c.Kind == rx.Offer {
				source = c.p.state.Record
				t.deliver(e.Org, c.p)
				t.offered(c.p, c.Org)
			}
			record, item, _ := parseReference(source)
			e.Record, e.Type = record, t.typeOf(record, item)
			if item >= 0 {
				key := string(c.Kind) + e.Org.String() + record.String()
				if i, ok := at[key]; ok {
					out[i].Items = append(out[i].Items, item)
					out[i].Prescription, out[i].Claim, out[i].State = ledger.ID{}, 0, ""
					continue
				}
				at[key] = len(out)
				e.Items = []int{item}
			}
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// same reports whether an equal wake is among out already: one message wakes a phone once.
func same(out []ledger.Effect, e ledger.Effect) bool {
	for _, o := range out {
		if o.Kind == e.Kind && o.Patient == e.Patient && o.Type == e.Type {
			return true
		}
	}
	return false
}

// typeOf is the resource type in a delivery's subject.
func (t *draft) typeOf(record ledger.ID, item int) string {
	switch {
	case item >= 0:
		return streams.TypeBundle
	case record == t.id && t.unit.doc != nil:
		return t.unit.doc.Type()
	}
	return streams.TypeMedicationRequest
}

// deliver notes that a pharmacy is sent p, and under which names it may cite it.
func (t *draft) deliver(pharmacy ledger.ID, p *prescription) {
	v, pair := t.view, [2]ledger.ID{pharmacy, p.row.ID}
	if v.Delivered[pair] {
		return
	}
	row := ledger.Delivered{Pharmacy: pharmacy, Prescription: p.row.ID,
		Identifier: parseHash(p.state.CiteIdentifier), Local: parseHash(p.state.CiteLocal)}
	v.Delivered[pair] = true
	v.delivered = append(v.delivered, row)
	for _, h := range []ledger.Hash{row.Identifier, row.Local} {
		if h != (ledger.Hash{}) {
			key := ledger.Key{Org: pharmacy, Hash: h}
			v.Citations[key] = append(v.Citations[key], p.row.ID)
		}
	}
}

// told is the issue of an OperationOutcome that informs an organisation.
func told(code fault.Code) fhir.Issue {
	return fhir.Issue{Severity: "information", Code: "informational", ID: string(code), Text: title(code)}
}
