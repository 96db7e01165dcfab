package recorder

import (
	"bytes"
	"encoding/hex"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// stored is a prescription's state as the state column holds it: the machine's value, the hashes under
// which a pharmacy may cite it and by which it can tell the patient from another, how many collect codes
// it has had, and what a safety check compares.
type stored struct {
	rx.Kept
	CiteIdentifier string   `json:"citeIdentifier,omitempty"`
	CiteLocal      string   `json:"citeLocal,omitempty"`
	Codes          uint16   `json:"codes,omitempty"` // number of the latest collect code
	Subject        []who    `json:"subject,omitempty"`
	Therapy        *therapy `json:"therapy,omitempty"`
}

// stateRoom is what most states take with their mark, bytes.
const stateRoom = 1280

// write fills the row's columns from the state.
func (p *prescription) write() (ledger.Prescription, error) {
	row, s := p.row, p.state.State
	row.Status = s.Status()
	row.Pharmacy, row.Holder = parseID(s.Pharmacy), parseID(s.Holder)
	row.Claim, row.FillsAllowed, row.FillsDone = s.Claim, s.FillsAllowed, s.FillsDone
	row.DueAt = s.DueAt()
	if record, _, ok := parseReference(s.Record); ok {
		row.Record = record
	}
	var state bytes.Buffer
	state.Grow(stateRoom)
	if err := json.NewEncoder(&state).Encode(p.state); err != nil {
		return row, err
	}
	row.State = bytes.TrimSuffix(state.Bytes(), []byte("\n"))
	return row, nil
}

// parseID reads an id of our own making; "" and anything else is the zero id.
func parseID(s string) ledger.ID {
	id, err := uuid.Parse(s)
	if err != nil {
		return ledger.ID{}
	}
	return id
}

func hexHash(h ledger.Hash) string {
	if h == (ledger.Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

func parseHash(s string) (h ledger.Hash) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(h) {
		copy(h[:], b)
	}
	return h
}

// settle keeps the list of those that wait for a pharmacy.
func (v *view) settle(p *prescription) {
	v.taking(p)
	waiting := v.Waiting[p.row.Patient]
	if p.state.Pharmacy == "" {
		for _, id := range waiting {
			if id == p.row.ID {
				return
			}
		}
		v.Waiting[p.row.Patient] = append(waiting, p.row.ID)
	}
}
