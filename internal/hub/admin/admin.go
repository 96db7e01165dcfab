package admin

import (
	"context"
	"encoding/json"
	"time"
)

// Service is what the handler calls.
type Service interface {
	Keeper
	Linker
	AddOrganization(ctx context.Context, o NewOrganization) (Credential, error)
	Organizations(ctx context.Context) ([]Organization, error)
	// SetSignature changes what is asked of an organisation's messages.
	SetSignature(ctx context.Context, p SignaturePolicy) (Organization, error)
	Invite(ctx context.Context, who Patient) (Invitation, error)
	Status(ctx context.Context) (Status, error)
	KeyService
	RxService
	Receipt(ctx context.Context, q ReceiptOf) (Receipt, error)
	// Verify calls progress now and then from one goroutine.
	Verify(ctx context.Context, q Verification, progress func(Progress)) (Verdict, error)
}

// NewOrganization asks for an organisation with one client.
type NewOrganization struct {
	Kind        string   `json:"kind"` // clinic or pharmacy
	Name        string   `json:"name"`
	Identifiers []string `json:"identifiers,omitempty"` // system|value
	Intents     []string `json:"intents,omitempty"`     // fillable beside order and original-order
	Sandbox     bool     `json:"sandbox,omitempty"`     // reaches only sandbox organisations
	Signature   string   `json:"signature,omitempty"`   // off, record or require; "" = off
	Anchors     string   `json:"anchors,omitempty"`     // trust anchors, PEM
}

// SignaturePolicy says how an organisation's messages must be signed from now on.
type SignaturePolicy struct {
	Org     string `json:"org"`
	Policy  string `json:"policy"`            // off, record or require
	Anchors string `json:"anchors,omitempty"` // trust anchors, PEM; "" keeps those that are set
}

// Credential is what a client of an organisation needs. Token is shown once; the hub keeps its hash.
type Credential struct {
	URL   string `json:"url"`  // of the hub, without trailing slash
	NATS  string `json:"nats"` // of the broker
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Org   string `json:"org"`
	User  string `json:"user"`  // client id: the NATS user name
	Token string `json:"token"` // bearer token and NATS password
}

// Organization is one line of the directory.
type Organization struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Identifiers []string `json:"identifiers,omitempty"` // system|value
	Sandbox     bool     `json:"sandbox,omitempty"`
	Disabled    bool     `json:"disabled,omitempty"`
	Signature   string   `json:"signature,omitempty"` // record or require; "" = off
	Anchors     []Anchor `json:"anchors,omitempty"`
}

// Anchor is a certificate in which an organisation's signers' certificates end.
type Anchor struct {
	Subject string    `json:"subject"`
	SHA256  string    `json:"sha256"` // of the DER, hex
	Until   time.Time `json:"until"`
}

// Patient names a patient of an organisation: by identifier, or by the organisation's own id when
// System is "".
type Patient struct {
	Org    string `json:"org"`
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

// Invitation is a link that signs a patient in once.
type Invitation struct {
	URL   string    `json:"url"`
	Until time.Time `json:"until"`
}

// Status is the hub at a glance.
type Status struct {
	Version       string            `json:"version"`
	Mode          string            `json:"mode"`
	Store         string            `json:"store"` // sqlite or postgresql
	URL           string            `json:"url"`
	NATS          string            `json:"nats"`
	Started       time.Time         `json:"started"`
	Organizations int               `json:"organizations"`
	Head          Head              `json:"head"`
	Components    map[string]string `json:"components"` // "ok" or the kind of fault
}

// Head is the ledger's position.
type Head struct {
	Entries    uint64 `json:"entries"`
	Leaf       string `json:"leaf"` // hex
	Epoch      uint64 `json:"epoch"`
	Seq        uint64 `json:"seq"` // last intake sequence decided
	Deliveries uint64 `json:"deliveries"`
}

// ReceiptOf asks for the receipt of a prescription or a record, by its id.
type ReceiptOf struct {
	ID string `json:"id"`
}

// Receipt proves an entry; it discloses nothing of the record.
type Receipt struct {
	Index uint64 `json:"index"`
	Text  string `json:"text"` // C2SP tlog-proof
}

// Verification asks for a walk of the ledger. The zero value walks all of it.
type Verification struct {
	// State is where an earlier walk ended (receipt.State); absent = the beginning.
	State json.RawMessage `json:"state,omitempty"`
	// At is the size of a tree whose root is to be compared with Root, hex. 0 compares nothing. When
	// set, the walk's State is that at this size.
	At   uint64 `json:"at,omitempty"`
	Root string `json:"root,omitempty"`
}

// Progress of a verification.
type Progress struct {
	Entries uint64 `json:"entries"`
	Total   uint64 `json:"total"` // when it began
}

// Verdict is the end of a verification. Bad is nil when everything is as written.
type Verdict struct {
	Entries    uint64 `json:"entries"`
	Records    uint64 `json:"records"`
	Erased     uint64 `json:"erased"`
	Accesses   uint64 `json:"accesses"`
	Statements uint64 `json:"statements"`
	Leaf       string `json:"leaf"` // of the last good entry, hex
	Bad        *Bad   `json:"bad,omitempty"`

	State json.RawMessage `json:"state,omitempty"` // what the next walk may begin with; absent when Bad
}

// Bad is the first thing that is not as written.
type Bad struct {
	Entry  uint64 `json:"entry"`
	Reason string `json:"reason"`
}
