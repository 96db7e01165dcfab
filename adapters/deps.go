package adapters

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/streams"
)

// Deps is what the hub gives every adapter.
type Deps struct {
	Log       *slog.Logger
	Now       func() time.Time
	BaseURL   string // public URL without trailing slash
	Routes    *Routes
	Auth      *auth.Verifier
	Directory *directory.Directory
	Submit    Submitter
	Validate  func(*fhir.Document) []fhir.Issue // nil = fhir.Validate
	Examined  *fhir.Examinations                // tells the recorder of this process what was examined here; nil = nobody
	Records   Records
	Devices   directory.Store
	Keys      *ledger.Keyring
	NATS      *nats.Conn
	Policy    func() ([]byte, error) // the trust policy that readers are given; fault.NotFound when there is none; nil = none
	Map       *safety.Map            // classes of medicines, for safety checks; nil = none
	Healthy   func() error           // nil when the recorder's lease is fresh
}

// Submitter brings a message to the recorder and waits for its word (streams.Caller).
type Submitter interface {
	Call(ctx context.Context, m streams.Message, wait time.Duration) (streams.Answer, error)
}

// Records reads what was recorded. Every method that returns plaintext stores an access row first.
// internal/hub implements it over ledger.Reader and ledger.Keyring.
type Records interface {
	// Read returns the received bytes of a record.
	Read(ctx context.Context, who Reader, record ledger.ID) (Plain, error)
	// ReadAll is Read for several records with one access row.
	ReadAll(ctx context.Context, who Reader, records []ledger.ID) ([]Plain, error)
	// Prove makes the receipt of a record under the newest checkpoint. The opening is in it only if whole says that
	// the reader may see all of the record's bytes. fault.CodeNotSigned while no checkpoint covers it.
	Prove(ctx context.Context, who Reader, record ledger.ID, whole func(Plain) bool) (receipt.Receipt, error)
	ledger.Reader
}

// Reader says who reads, for the access row.
type Reader struct {
	Org, Patient, Client ledger.ID
	Person, Purpose      string
	Action               string
}

// Plain is a record, opened.
type Plain struct {
	Err       error // ledger.ErrDamaged: it is fenced off, and of Record only the id is set; else nil
	Record    ledger.Record
	Body      []byte
	Signature string // verdict on its signatures, as in Rx-Signature-Verdict; "" = none was asked for
}
