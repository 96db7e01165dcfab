package streams

import (
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is one message of a stream. Body is what was received, byte for byte; nobody may change it.
type Message struct {
	ID      string // Nats-Msg-Id
	Subject string
	Header  nats.Header // nil means none; Nats-Msg-Id is set from ID when published
	Body    []byte
	Seq     uint64    // stream sequence; 0 before it is stored
	Time    time.Time // stream time; zero before it is stored
	Part    int       // position in the stream message that carried it with others
	Parts   int       // how many that message carried; 0 when it carried this one alone

	// Direct: it came from a Caller of the reader's own process and never was in the stream (Reader.Offer).
	// Time is when it came; Seq and Part are the reader's to give.
	Direct bool
}

// Ends reports whether m is the last part of its stream message.
func (m *Message) Ends() bool { return m.Parts == 0 || m.Part == m.Parts-1 }

// Answer is the recorder's word on one message. A 201 in Status means committed in the database and
// in the ledger. It names codes and element paths, never patient data, so it may be stored in clear.
type Answer struct {
	Correlation string          `json:"c,omitempty"` // as given in Rx-Reply
	Status      int             `json:"status"`      // HTTP status
	Code        string          `json:"code,omitempty"`
	Replayed    bool            `json:"replayed,omitempty"` // the first decision, again
	Index       *uint64         `json:"index,omitempty"`    // ledger index of the (last) entry
	Leaf        string          `json:"leaf,omitempty"`     // hex
	Record      string          `json:"record,omitempty"`   // hub id of the record
	Resources   []Resource      `json:"resources,omitempty"`
	Signature   string          `json:"signature,omitempty"` // verdict on the sender's signature, as in Rx-Signature-Verdict
	Issues      json.RawMessage `json:"issues,omitempty"`    // array of OperationOutcome.issue; never null
}

// Resource is one resource of a message, decided. One for each prescription and dispense, in message
// order; for a batch Bundle one for each entry.
type Resource struct {
	Type    string `json:"type"`
	ID      string `json:"id,omitempty"` // hub id
	Version int    `json:"version,omitempty"`
	Rx      string `json:"rx,omitempty"`    // prescription it concerns
	State   string `json:"state,omitempty"` // the prescription's present state
	Claim   uint64 `json:"claim,omitempty"`
	Holding bool   `json:"holding,omitempty"` // the sender holds it now
	Status  int    `json:"status"`
	Code    string `json:"code,omitempty"`
	Issues  int    `json:"issues,omitempty"` // in the answer to a batch: how many of its issues, in order, are this one's
}
