package ledger

import (
	"crypto/sha256"

	"github.com/dosewire/dosewire/internal/fault"
)

// Origin is the prev of entry 0, and the head's leaf while the chain is empty: SHA-256 of the
// origin line (C2SP checkpoint), such as "dosewire.example/ledger/1".
func Origin(origin string) Hash { return sha256.Sum256([]byte(origin)) }

// ErrOrigin is returned by a store's SetOrigin when the chain has begun under another origin.
var ErrOrigin = fault.New(fault.Conflict, "ledger: the chain was begun under another origin")
