package inbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// said is what a page says after a change. Its name stands in the URL, its text never does.
type said struct {
	Text string
	Good bool
}

const (
	saidSent    = "sent"
	saidLate    = "late"
	saidPending = "pending"
	saidJoined  = "joined"
	saidAlready = "already"
	saidParted  = "parted"
	saidPassed  = "passed"
	saidRefused = "refused"
)

func saidBy(name string) said {
	switch name {
	case saidSent:
		return said{"Done. The pharmacy has your prescription now.", true}
	case saidLate:
		return said{"That was not possible any more. This page shows how it stands now.", false}
	case saidPending:
		return said{"We passed your choice on. It will show here in a moment.", true}
	case saidJoined:
		return said{"Done. They are in this inbox now.", true}
	case saidAlready:
		return said{"These prescriptions are in this inbox already.", true}
	case saidParted:
		return said{"Done. They are no longer in this inbox.", true}
	case saidPassed:
		return said{"We passed it on. It will show here in a moment.", true}
	case saidRefused:
		return said{"That was not possible. Nothing was changed.", false}
	}
	return said{}
}

// nomination is the fact that the recorder reads on rx.fact.nomination; the zero prescription is none.
func nomination(patient, prescription ledger.ID, pharmacy string) ([]byte, error) {
	fact := struct {
		Patient      string `json:"patient"`
		Pharmacy     string `json:"pharmacy"`
		Prescription string `json:"prescription,omitempty"`
	}{Patient: patient.String(), Pharmacy: pharmacy}
	if prescription != (ledger.ID{}) {
		fact.Prescription = prescription.String()
	}
	b, err := json.Marshal(fact)
	if err != nil {
		return nil, fmt.Errorf("inbox: nomination: %w", err)
	}
	return b, nil
}

// saidAfter turns the recorder's answer into what the page says. A choice that came too late is no
// error: the page shows what happened instead.
func saidAfter(answer streams.Answer, err error) (string, error) {
	switch {
	case errors.Is(err, fault.Of(fault.CodePending)):
		return saidPending, nil
	case err != nil:
		return "", fmt.Errorf("inbox: choice: %w", err)
	case answer.Status >= 500:
		return "", fault.Of(fault.CodeUnavailable)
	case answer.Status >= 400:
		return saidLate, nil
	}
	return saidSent, nil
}

func compareFold(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }
