package ledger

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	infoEvidence    = "dosewire/record/v2"
	openingEvidence = "dosewire/opening/v2"
	evidenceLength  = 4
	maxEvidence     = 1 << 20
)

// Opened is what a sealed record held.
type Opened struct {
	Opening   Hash   // commitment = SHA-256(Opening ‖ Plaintext)
	Plaintext []byte // exactly as received
	Evidence  []byte // what was found about it when it was received; nil = none
}

// SealWith is Seal with evidence beside the plaintext: what was found about it, such as the verdict on
// its signatures. Without evidence it is Seal. The sealed form has version 2:
//
//	version=2 ‖ nonce ‖ AES-256-GCM(record key, nonce, salt ‖ length of evidence (4) ‖ evidence ‖ plaintext, AAD = Header)
//	opening = SHA-256("dosewire/opening/v2" ‖ salt ‖ evidence)
//
// The commitment is SHA-256(opening ‖ plaintext) as ever, so that a receipt shows the plaintext and
// nothing of the evidence; and it holds the evidence fast as it does the plaintext, which a GCM tag
// alone would not.
func SealWith(key PatientKey, r *Record, plaintext, evidence []byte) (commitment Hash, err error) {
	if len(evidence) == 0 {
		return Seal(key, r, plaintext)
	}
	if len(evidence) > maxEvidence {
		return Hash{}, errHeader
	}
	b := newOpening(evidenceLength + len(evidence) + len(plaintext))
	opening := openingOf(b[sealedPrefix:], evidence)
	b = binary.BigEndian.AppendUint32(b, uint32(len(evidence)))
	b = append(append(b, evidence...), plaintext...)
	if err := r.seal(key, sealedEvidenceVersion, b); err != nil {
		return Hash{}, err
	}
	return commit(opening, plaintext), nil
}

// OpenAll is Open with all that the record holds. ErrSealed, ErrErased.
func OpenAll(key PatientKey, r Record, commitment *Hash) (Opened, error) {
	version, text, err := r.open(key)
	if err != nil {
		return Opened{}, err
	}
	o, err := parseOpened(version, text)
	if err != nil {
		return Opened{}, err
	}
	if commitment != nil && commit(o.Opening, o.Plaintext) != *commitment {
		return Opened{}, ErrSealed
	}
	return o, nil
}

func parseOpened(version byte, text []byte) (o Opened, err error) {
	salt, rest := text[:OpeningSize], text[OpeningSize:]
	if version == sealedVersion {
		o.Opening, o.Plaintext = Hash(salt), rest
		return o, nil
	}
	if len(rest) < evidenceLength {
		return o, ErrSealed
	}
	n := binary.BigEndian.Uint32(rest)
	if rest = rest[evidenceLength:]; n == 0 || n > maxEvidence || uint64(n) > uint64(len(rest)) {
		return o, ErrSealed
	}
	o.Evidence, o.Plaintext = rest[:n:n], rest[n:]
	o.Opening = openingOf(salt, o.Evidence)
	return o, nil
}

func openingOf(salt, evidence []byte) (opening Hash) {
	h := sha256.New()
	h.Write([]byte(openingEvidence))
	h.Write(salt)
	h.Write(evidence)
	h.Sum(opening[:0])
	return opening
}

func commit(opening Hash, plaintext []byte) (commitment Hash) {
	h := sha256.New()
	h.Write(opening[:])
	h.Write(plaintext)
	h.Sum(commitment[:0])
	return commitment
}
