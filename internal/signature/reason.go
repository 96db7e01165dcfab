package signature

import "github.com/dosewire/dosewire/internal/fault"

// Reason is why a signature is not good. It is an error, stored by its text: the texts do not change.
type Reason string

// Reasons.
const (
	ErrSize        Reason = "size"          // longer than MaxSize, or too many certificates or signatures
	ErrMalformed   Reason = "malformed"     // not a detached JWS in compact form
	ErrFormat      Reason = "format"        // a Provenance.signature that is not application/jose
	ErrAlgorithm   Reason = "algorithm"     // neither ES256 nor EdDSA, or not the algorithm of the key
	ErrHeader      Reason = "header"        // jwk, jku, x5u, or a critical parameter that is not known
	ErrBatch       Reason = "batch"         // one signature over a batch of messages
	ErrCertificate Reason = "certificate"   // no certificate in x5c, or one that cannot be read
	ErrMismatch    Reason = "mismatch"      // not a signature of these bytes by this key
	ErrUntrusted   Reason = "untrusted"     // no way from the certificate to an anchor
	ErrExpired     Reason = "expired"       // a certificate of the way had ended
	ErrNotYetValid Reason = "not-yet-valid" // or had not begun
	ErrUsage       Reason = "usage"         // the certificate is not for digital signatures
	ErrSigner      Reason = "signer"        // the certificate is of another than Signature.who names
	ErrContent     Reason = "content"       // the signed Binary is absent or does not hold what the Bundle says
	ErrAnchors     Reason = "anchors"       // the organisation's trust anchors cannot be read
)

func (r Reason) Error() string { return "signature: " + string(r) }

// Code is the catalogue's word for it.
func (r Reason) Code() fault.Code {
	switch r {
	case ErrFormat, ErrAlgorithm, ErrHeader, ErrBatch:
		return fault.CodeSignatureHeader
	case ErrMismatch:
		return fault.CodeSignatureMismatch
	case ErrUntrusted, ErrUsage, ErrAnchors:
		return fault.CodeSignatureUntrusted
	case ErrExpired, ErrNotYetValid:
		return fault.CodeSignatureExpired
	case ErrSigner:
		return fault.CodeSignatureSigner
	case ErrContent:
		return fault.CodeSignatureContent
	}
	return fault.CodeSignatureMalformed
}
