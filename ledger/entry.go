package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// EntrySize is the length of every encoded entry, bytes.
const EntrySize = 114

// Version is the only entry version so far: the first byte of every entry.
const Version = 1

// Kind says what an entry is about.
type Kind uint8

const (
	KindGenesis   Kind = 0 // first entry of an origin; digest = SHA-256 of the statement
	KindRecord    Kind = 1 // a received message or a fact, sealed in a record row
	KindErasure   Kind = 2 // records made unreadable
	KindStatement Kind = 3 // key, policy or epoch change; digest = SHA-256 of the statement
	KindAccess    Kind = 4 // a disclosure; digest = SHA-256 of the access row (Access.Bytes)
)

// Hash is a SHA-256 value.
type Hash [sha256.Size]byte

// Entry is one line of the ledger, the same 114 bytes for the hash chain and for the Merkle tree.
//
//	off len field (big-endian)
//	  0   1 version = 1
//	  1   1 kind
//	  2   8 index, the position in the tree, from 0
//	 10   8 unix milliseconds, never less than the predecessor's
//	 18  32 prev = SHA-256(0x00 ‖ previous entry); genesis: SHA-256(origin)
//	 50  32 digest = SHA-256(header ‖ ciphertext) of the stored row
//	 82  32 commitment = SHA-256(opening ‖ plaintext); zero for entries without a record
type Entry struct {
	Kind       Kind
	Index      uint64
	Time       int64 // unix ms
	Prev       Hash
	Digest     Hash
	Commitment Hash
}

// Bytes is the one encoding of e.
func (e Entry) Bytes() [EntrySize]byte {
	var b [EntrySize]byte
	b[0], b[1] = Version, byte(e.Kind)
	binary.BigEndian.PutUint64(b[2:], e.Index)
	binary.BigEndian.PutUint64(b[10:], uint64(e.Time))
	copy(b[18:], e.Prev[:])
	copy(b[50:], e.Digest[:])
	copy(b[82:], e.Commitment[:])
	return b
}

// Leaf is the RFC 6962 leaf hash, SHA-256(0x00 ‖ entry): what the next entry carries as Prev.
func (e Entry) Leaf() Hash {
	var b [1 + EntrySize]byte
	enc := e.Bytes()
	copy(b[1:], enc[:])
	return sha256.Sum256(b[:])
}

// Parse reads an encoded entry. It refuses other lengths, versions, kinds and negative times with
// ErrEntry.
func Parse(b []byte) (Entry, error) {
	if len(b) != EntrySize || b[0] != Version || b[1] > byte(KindAccess) {
		return Entry{}, ErrEntry
	}
	e := Entry{Kind: Kind(b[1]), Index: binary.BigEndian.Uint64(b[2:]), Time: int64(binary.BigEndian.Uint64(b[10:]))}
	if e.Time < 0 {
		return Entry{}, ErrEntry
	}
	copy(e.Prev[:], b[18:])
	copy(e.Digest[:], b[50:])
	copy(e.Commitment[:], b[82:])
	return e, nil
}

// Head is the ledger's position, the cursor into RX_INTAKE and the fence, in one row.
type Head struct {
	Epoch      uint64 // generation of RX_INTAKE; rises when the stream is made anew
	Seq        uint64 // last intake sequence decided; 0 = none
	Size       uint64 // entries in the chain; the last one has index Size-1
	Leaf       Hash   // leaf of the last entry; SHA-256(origin) while Size is 0
	Time       int64  // time of the last entry, unix ms
	Deliveries uint64 // effects numbered so far; the next one is Deliveries+1
	Term       uint64 // who may write: raised by each Acquire
}

// Link appends an entry to the chain: index, prev and a time that never goes back are filled in
// from head. It returns the entry and the head after it.
func Link(head Head, kind Kind, at time.Time, digest, commitment Hash) (Entry, Head) {
	e := Entry{Kind: kind, Index: head.Size, Time: max(at.UnixMilli(), head.Time), Prev: head.Leaf, Digest: digest, Commitment: commitment}
	head.Size++
	head.Leaf = e.Leaf()
	head.Time = e.Time
	return e, head
}

// Check verifies that e follows head and returns the head after it. It returns ErrChain when index,
// prev or time do not follow.
func Check(head Head, e Entry) (Head, error) { return follow(head, e, e.Leaf()) }

// follow is Check for an entry whose leaf is known.
func follow(head Head, e Entry, leaf Hash) (Head, error) {
	if e.Index != head.Size || e.Prev != head.Leaf || e.Time < head.Time {
		return head, ErrChain
	}
	head.Size, head.Leaf, head.Time = head.Size+1, leaf, e.Time
	return head, nil
}

// Errors of the ledger. All but ErrHeadMoved and ErrNotFound mean that stored bytes are not what
// was written.
var (
	ErrEntry     = fault.New(fault.Tampered, "ledger: not an entry")
	ErrChain     = fault.New(fault.Tampered, "ledger: entry does not follow its predecessor")
	ErrDigest    = fault.New(fault.Tampered, "ledger: row does not match its entry")
	ErrSealed    = fault.New(fault.Tampered, "ledger: record cannot be opened")
	ErrHeadMoved = fault.New(fault.Conflict, "ledger: head was moved by another writer")
	ErrNotFound  = fault.New(fault.NotFound, "ledger: not found")
	ErrErased    = fault.Of(fault.CodeErased)
)
