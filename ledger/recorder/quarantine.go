package recorder

import (
	"crypto/sha256"
	"fmt"

	"github.com/dosewire/dosewire/ledger"
)

// quarantinePerDay is how many bytes of refused messages are kept of one organisation in a day (UTC),
// counted from the recorder's start at the earliest. Of what comes beyond it a digest is kept.
const quarantinePerDay = 16 << 20

// allowance counts what is kept in quarantine of each organisation today.
type allowance struct {
	day   int64 // unix days
	spent map[ledger.ID]int
}

// take reports whether n more bytes of org may be kept, and counts them.
func (a *allowance) take(org ledger.ID, day int64, n int) bool {
	if a.spent == nil || day > a.day {
		a.day, a.spent = day, map[ledger.ID]int{}
	}
	if a.spent[org]+n > quarantinePerDay {
		return false
	}
	a.spent[org] += n
	return true
}

// digest stands in quarantine for a body that is not kept: its sender can show which one it was.
func digest(body []byte) []byte {
	return fmt.Appendf(nil, `{"sha256":"%x","bytes":%d}`, sha256.Sum256(body), len(body))
}
