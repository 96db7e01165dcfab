package recorder

import (
	"encoding/hex"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/ledger"
)

// who is one identifier of a prescription's patient: hashes of its system and of all of it. They are
// made with the prescription's own id, so that nothing of two prescriptions can be compared.
type who struct {
	System string `json:"s"`
	Whole  string `json:"w"`
}

// subjects is how many identifiers of a patient a prescription remembers.
const subjects = 8

// subjectOf names the patient of a message for one prescription. An identifier without a system says
// nothing to another organisation.
func subjectOf(k *ledger.Keyring, prescription ledger.ID, s fhir.Subject) (all []who) {
	short := func(space string, parts ...string) string {
		sum := k.Index(ledger.ID{}, append([]string{space, prescription.String()}, parts...)...).Hash
		return hex.EncodeToString(sum[:16])
	}
	for _, id := range s.Identifiers {
		if id.System == "" || id.Value == "" || len(all) == subjects {
			continue
		}
		all = append(all, who{short("subject-system", id.System), short("subject", id.System, id.Value)})
	}
	return all
}

// somebodyElse reports whether a message is about somebody else than the prescription's patient: it names one
// in a system in which the prescription names one too, and nowhere the same.
func somebodyElse(theirs, ours []who) (other bool) {
	for _, a := range theirs {
		for _, b := range ours {
			if a.Whole == b.Whole {
				return false
			}
			other = other || a.System == b.System
		}
	}
	return other
}
