package ledger

import (
	"crypto/sha256"
	"encoding/binary"
)

// typeRefused is the type in the header under which a quarantined message is sealed.
const typeRefused = "refused"

// quarantineRecord is the record as which a quarantined message is sealed. Its id follows from its
// place, which no two messages share, so that the row is enough to open it. Sequences go on from one epoch
// to the next; terms are counted beside them.
func quarantineRecord(q Quarantined) Record {
	label := "dosewire/quarantine/v1"
	if q.Epoch == 0 {
		label = "dosewire/quarantine/term/v1"
	}
	place := binary.BigEndian.AppendUint64([]byte(label), q.Seq)
	place = binary.BigEndian.AppendUint64(place, uint64(q.Sub))
	sum := sha256.Sum256(place)
	return Record{ID: ID(sum[:16]), Org: q.Org, KeyID: q.KeyID, Type: typeRefused, Version: 1, Sealed: q.Sealed}
}

// SealQuarantined encrypts a refused message; q's other fields must be final. Its KeyID is set.
func SealQuarantined(key PatientKey, q *Quarantined, body []byte) error {
	q.KeyID = key.KeyID
	r := quarantineRecord(*q)
	_, err := Seal(key, &r, body)
	q.Sealed = r.Sealed
	return err
}

// OpenQuarantined decrypts one. ErrSealed.
func OpenQuarantined(key PatientKey, q Quarantined) ([]byte, error) {
	return Open(key, quarantineRecord(q), nil)
}
