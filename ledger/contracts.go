package ledger

import (
	"context"
	"iter"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Store is what the recorder writes through. Both implementations pass ledgertest.TestStore.
//
// All methods are safe for concurrent use. Every error carries a fault kind: Unavailable when the
// database cannot be reached, Invalid when it refused the data (SQLSTATE classes 22 and 23),
// Conflict (ErrHeadMoved) when another writer was faster.
type Store interface {
	// Acquire takes the next term if the lease of the present one has ended, or renews it when the
	// caller holds it (term equals the head's). It returns the head and the database's clock.
	// While another holds the lease it returns ErrLeased.
	Acquire(ctx context.Context, term uint64) (Head, time.Time, error)

	// Load returns one consistent view of what Want names.
	Load(ctx context.Context, w Want) (Have, error)

	// Commit writes b if the head still equals b.From (all fields), moves the head to b.To and renews
	// the lease, in one transaction that is durable when Commit returns nil. Otherwise nothing of b
	// is written and ErrHeadMoved is returned.
	Commit(ctx context.Context, b *Batch) error

	// PendingAccess returns accesses without an entry, oldest first, at most limit.
	PendingAccess(ctx context.Context, limit int) ([]Access, error)
}

// ErrLeased is returned by Acquire while another recorder's lease runs.
var ErrLeased = fault.New(fault.Unavailable, "ledger: another recorder holds the lease")

// Reader is what verifiers, announcers and adapters read through; needs no write rights except
// InsertAccess and SetAcknowledged.
type Reader interface {
	Head(ctx context.Context) (Head, error)
	// Rows yields entries from index from on in order, each with the row it covers, until the end.
	// Exactly one of Record, Access, Statement is set; all nil means that the row is missing.
	Rows(ctx context.Context, from uint64) iter.Seq2[Row, error]
	// Page is the beginning of Rows, at most limit; with an error, those before it.
	Page(ctx context.Context, from uint64, limit int) ([]Row, error)
	// Entry returns the entry at an index, or ErrNotFound.
	Entry(ctx context.Context, index uint64) (Entry, error)
	// Record returns one record by its own id. ErrNotFound, or ErrErased when only its shell is left.
	Record(ctx context.Context, id ID) (Record, error)
	// Versions returns the records of a resource, oldest first.
	Versions(ctx context.Context, of ID) ([]Record, error)
	// Prescription returns one by hub id.
	Prescription(ctx context.Context, id ID) (Prescription, error)
	// PatientPrescriptions returns a patient's, newest first.
	PatientPrescriptions(ctx context.Context, patient ID) ([]Prescription, error)
	// OrgPrescriptions returns what an organisation issued or was ever sent, newest first, with ids below
	// before (the zero ID: from the newest), at most limit.
	OrgPrescriptions(ctx context.Context, org, before ID, limit int) ([]Prescription, error)
	// PrescriptionDispenses returns the dispenses that cite a prescription, oldest first.
	PrescriptionDispenses(ctx context.Context, id ID) ([]Dispense, error)
	// WasDelivered reports whether the prescription was ever sent to the pharmacy.
	WasDelivered(ctx context.Context, pharmacy, prescription ID) (bool, error)
	// DispenseByResource finds the dispense whose hub id is given.
	DispenseByResource(ctx context.Context, id ID) (Dispense, error)
	// Effects returns effects with Number > after in order, at most limit. org zero = all receivers.
	Effects(ctx context.Context, org ID, after uint64, limit int) ([]Effect, error)
	// Due returns the prescriptions whose DueAt is now (unix ms) or earlier, the longest due first, at
	// most limit.
	Due(ctx context.Context, now int64, limit int) ([]Prescription, error)
	// Unfetched returns the deliveries to a pharmacy above the number up to which it has acknowledged all
	// and above after, of the version in force of prescriptions with status "ready" that are routed to it:
	// in order, at most limit.
	Unfetched(ctx context.Context, pharmacy ID, after uint64, limit int) ([]Unfetched, error)
	// Acknowledged returns for each organisation the number up to which it has acknowledged.
	Acknowledged(ctx context.Context) (map[ID]uint64, error)
	// SetAcknowledged raises these numbers; a lower number than the stored one changes nothing.
	// The zero ID stands for the announcer itself.
	SetAcknowledged(ctx context.Context, upTo map[ID]uint64) error
	// InsertAccess stores a disclosure durably before plaintext leaves.
	InsertAccess(ctx context.Context, a Access) error
	Links
	// Directory returns all organisations and clients.
	Directory(ctx context.Context) ([]Organization, []Client, error)
}

// Row is one entry with what it covers.
type Row struct {
	Entry     Entry
	Record    *Record
	Access    *Access
	Statement *Statement
}

// KeyWrapper protects the deployment key. It never sees patient data. Implementations: filekey,
// awskms. Both pass ledgertest.TestKeyWrapper. aad is authenticated, not hidden.
type KeyWrapper interface {
	Wrap(ctx context.Context, key, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error)
	// Name tells one wrapper from another without a secret, such as a key's ARN.
	Name() string
}

// KeyStore is the second database: wrapped keys and the patient index. It must be durable before a
// record sealed under one of its keys is committed. All methods are safe for concurrent use.
type KeyStore interface {
	// Deployment stores each of add whose generation is not stored yet and returns all that are
	// stored then, lowest generation first. They may be another caller's.
	Deployment(ctx context.Context, add ...DeploymentKey) ([]DeploymentKey, error)
	// FindPatients returns for each index key the patient it belongs to; absent keys are absent.
	FindPatients(ctx context.Context, keys []Key) (map[Key]ID, error)
	// AddPatients stores new patients with their keys and index rows in one durable transaction.
	// An index row that exists already keeps its patient: all is whether there was none, else the
	// caller must look again. ErrGeneration when a key's generation is not stored.
	AddPatients(ctx context.Context, ps []NewPatient) (all bool, err error)
	// PatientKeys returns the current wrapped key of each patient; absent (erased) ones are absent.
	PatientKeys(ctx context.Context, patients []ID) (map[ID]WrappedKey, error)
	// Keys returns wrapped keys by key id; absent (erased) ones are absent.
	Keys(ctx context.Context, ids []ID) (map[ID]WrappedKey, error)
	// PatientKeyIDs returns the ids of all keys of a patient, newest first.
	PatientKeyIDs(ctx context.Context, patient ID) ([]ID, error)
	// EraseKeys deletes the patients that own one of these keys: their keys and their index rows, in one
	// durable transaction. It says how many of the ids were still there; again is nothing.
	EraseKeys(ctx context.Context, ids []ID) (found int, err error)
	// Scrub removes what deletions left in the database's own files. It may take a while.
	Scrub(ctx context.Context) error
}

// Unfetched is a prescription that waits at a pharmacy, with the number and the time (unix ms) of its delivery.
type Unfetched struct {
	Number uint64
	Time   int64
	Prescription
}

// NewPatient is a patient of one organisation with its first key. Index may be empty: the hub's own
// key and the quarantine's keys are patients without an index.
type NewPatient struct {
	Patient ID
	Key     WrappedKey
	Index   []Key
}

// WrappedKey is a data key under the deployment key of one generation. AAD = org ‖ key id.
type WrappedKey struct {
	ID         ID
	Org        ID
	Patient    ID
	Generation int
	Blob       []byte
}
