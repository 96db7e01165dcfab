package hub

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
)

// Retention says how long a patient's records are kept at least.
type Retention struct {
	// Years after the patient's newest record, during which an erasure is refused. Defaults to 6, what
	// HIPAA demands of documentation (45 CFR 164.316(b)(2)); many laws on medical records demand more.
	Years int `yaml:"years" env:"DOSEWIRE_RETENTION_YEARS"`
	// Organizations are organisations with a period of their own, as "<organisation id>=<years>".
	Organizations []string `yaml:"organizations" env:"DOSEWIRE_RETENTION_ORGANIZATIONS"`
}

// acceptMissing are the words for Keys.Missing.
const acceptMissing = "records-stay-unreadable"

// of is the period of an organisation.
func (r Retention) of(org ledger.ID) int {
	for _, text := range r.Organizations {
		if id, years, ok := parseRetention(text); ok && id == org {
			return years
		}
	}
	return r.Years
}

func parseRetention(text string) (org ledger.ID, years int, ok bool) {
	id, number, found := strings.Cut(text, "=")
	org, err := uuid.Parse(strings.TrimSpace(id))
	years, err2 := strconv.Atoi(strings.TrimSpace(number))
	return org, years, found && err == nil && err2 == nil && retainable(years)
}

// retainable: somebody who wants none of it says so with each erasure.
func retainable(years int) bool { return years >= 1 && years <= 100 }

func (v *validation) retention(r Retention) {
	v.check(retainable(r.Years), "retention.years is not between 1 and 100")
	for _, text := range r.Organizations {
		_, _, ok := parseRetention(text)
		v.check(ok, "retention.organizations has an element that is not <organisation id>=<years>")
	}
}
