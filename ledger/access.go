package ledger

import (
	"encoding/binary"
)

// Limits of an access row's texts, bytes.
const (
	MaxPerson  = 128
	MaxPurpose = 32
	MaxAction  = 32
)

const accessVersion = 1

// Bytes is the canonical encoding of an access row without its index: what a KindAccess entry's
// digest covers. Integers are big-endian.
//
//	version=1 ‖ id ‖ org ‖ patient ‖ client ‖ unix ms (8)
//	‖ length (1) ‖ person ‖ length (1) ‖ purpose ‖ length (1) ‖ action
//	‖ number of records (4) ‖ record ids in the row's order
//
// Texts beyond 255 bytes are cut; stores refuse them long before (MaxPerson).
func (a Access) Bytes() []byte {
	const fixed = 1 + 4*16 + 8 + 3 + 4
	b := make([]byte, 0, fixed+len(a.Person)+len(a.Purpose)+len(a.Action)+16*len(a.Records))
	b = append(b, accessVersion)
	b = append(b, a.ID[:]...)
	b = append(b, a.Org[:]...)
	b = append(b, a.Patient[:]...)
	b = append(b, a.Client[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Time))
	b = appendText(b, a.Person)
	b = appendText(b, a.Purpose)
	b = appendText(b, a.Action)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.Records)))
	for _, id := range a.Records {
		b = append(b, id[:]...)
	}
	return b
}

// appendText writes one length byte and the text.
func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), 255)]
	b = append(b, byte(len(s)))
	return append(b, s...)
}
