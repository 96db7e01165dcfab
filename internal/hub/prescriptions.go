package hub

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// prescriptions refuses what would match nothing and be taken for a rule.
func (v *validation) prescriptions(p Prescriptions) {
	for name, codes := range map[string][]string{"controlled": p.Controlled, "directed": p.Directed} {
		v.check(!slices.ContainsFunc(codes, notACode), "prescriptions.%s: an entry is not system|code", name)
	}
	for _, id := range p.ControlledAllow {
		parsed, err := uuid.Parse(id)
		v.check(err == nil && parsed.String() == id, "prescriptions.controlledAllow: an entry is not the id of an organisation (dosewire org list)")
	}
	v.check(len(p.ControlledAllow) == 0 || len(p.Controlled) > 0, "prescriptions.controlledAllow: prescriptions.controlled names no drug")
}

func notACode(s string) bool {
	system, code, ok := strings.Cut(s, "|")
	return !ok || system == "" || code == "" || strings.TrimSpace(s) != s || strings.Contains(code, "|")
}

// policy is what the recorder goes by. The configuration is valid.
func (p Prescriptions) policy() recorder.Policy {
	policy := recorder.Policy{Controlled: p.Controlled, Directed: p.Directed}
	for _, id := range p.ControlledAllow {
		policy.ControlledAllow = append(policy.ControlledAllow, ledger.ID(uuid.MustParse(id)))
	}
	return policy
}
