package awskms

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
)

// maxMessage is what KMS signs as it is (MessageType RAW), bytes.
const maxMessage = 4096

// Errors of a Signer.
var (
	ErrName      = fault.New(fault.Invalid, "awskms: the signer's name is empty or has a space, a plus sign or a line break")
	ErrMessage   = fault.New(fault.Invalid, "awskms: KMS signs at most 4096 bytes")
	ErrSignature = fault.New(fault.Tampered, "awskms: KMS returned a signature that its public key does not verify")
)

// Signer signs notes with an Ed25519 key in KMS. Its signatures are those of note's own Ed25519 signer:
// nobody who verifies needs to know about KMS.
type Signer struct {
	client   client
	public   ed25519.PublicKey
	verifier note.Verifier
	vkey     string
}

var _ note.Signer = (*Signer)(nil)

// OpenSigner fetches the public key. name is that of the log or witness, as its notes carry it.
func OpenSigner(ctx context.Context, c Config, name string) (*Signer, error) {
	client, err := newClient(ctx, c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := client.bounded(ctx)
	defer cancel()
	out, err := client.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &client.key})
	if err != nil {
		return nil, refuse(err)
	}
	if out.KeyUsage != types.KeyUsageTypeSignVerify || out.KeySpec != types.KeySpecEccNistEdwards25519 {
		return nil, ErrUsage
	}
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		return nil, ErrUsage.Wrap(err)
	}
	public, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, ErrUsage
	}
	vkey, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return nil, ErrName.Wrap(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, ErrName.Wrap(err)
	}
	return &Signer{client, public, verifier, vkey}, nil
}

// Name and KeyHash are as in note.Signer.
func (s *Signer) Name() string    { return s.verifier.Name() }
func (s *Signer) KeyHash() uint32 { return s.verifier.KeyHash() }

// VerifierKey is the vkey line to publish: name+hash+key.
func (s *Signer) VerifierKey() string { return s.vkey }

// Sign asks KMS for an Ed25519 signature over msg, at most 4096 bytes, and checks it. It takes no
// context because note.Signer does not; it ends after Config.Timeout.
func (s *Signer) Sign(msg []byte) ([]byte, error) {
	if len(msg) == 0 || len(msg) > maxMessage {
		return nil, ErrMessage
	}
	ctx, cancel := s.client.bounded(context.Background())
	defer cancel()
	out, err := s.client.kms.Sign(ctx, &kms.SignInput{KeyId: &s.client.key, Message: msg,
		MessageType: types.MessageTypeRaw, SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512})
	if err != nil {
		return nil, refuse(err)
	}
	if !ed25519.Verify(s.public, msg, out.Signature) {
		return nil, ErrSignature
	}
	return out.Signature, nil
}
