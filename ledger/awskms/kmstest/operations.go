package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// request holds the members of all operations.
type request struct {
	KeyId             string //nolint:revive // KMS's spelling
	Plaintext         []byte
	CiphertextBlob    []byte
	EncryptionContext map[string]string
	Message           []byte
	MessageType       string
	SigningAlgorithm  string
}

func (s *Server) do(operation string, q request) (any, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.EncryptionContext != nil {
		s.contexts = append(s.contexts, q.EncryptionContext)
	}
	switch operation {
	case "Encrypt":
		return s.encrypt(q)
	case "Decrypt":
		return s.decrypt(q)
	case "Sign":
		return s.sign(q)
	case "GetPublicKey":
		return s.publicKey(q)
	case "DescribeKey":
		return s.describe(q)
	}
	return nil, refusal("UnknownOperationException", operation)
}

// find is a key by ARN or id; usable demands that it may do cryptography.
func (s *Server) find(id string) (*key, *problem) {
	if !strings.HasPrefix(id, "arn:") {
		id = "arn:aws:kms:" + Region + ":" + Account + ":key/" + id
	}
	k := s.keys[id]
	if k == nil {
		return nil, refusal("NotFoundException", "Key '"+id+"' does not exist")
	}
	return k, nil
}

func (s *Server) usable(id string, signing bool) (*key, *problem) {
	k, p := s.find(id)
	switch {
	case p != nil:
		return nil, p
	case k.state == Disabled:
		return nil, refusal("DisabledException", k.arn()+" is disabled.")
	case k.state != Enabled:
		return nil, refusal("KMSInvalidStateException", k.arn()+" is pending deletion.")
	case signing != (k.private != nil):
		return nil, refusal("InvalidKeyUsageException", k.arn()+" key usage does not fit the operation.")
	}
	return k, nil
}

const blobVersion = 1

func (s *Server) encrypt(q request) (any, *problem) {
	if len(q.Plaintext) == 0 || len(q.Plaintext) > 4096 {
		return nil, refusal("ValidationException", "plaintext must have length between 1 and 4096")
	}
	k, p := s.usable(q.KeyId, false)
	if p != nil {
		return nil, p
	}
	prefix := append([]byte{blobVersion}, k.id[:]...)
	return map[string]any{"CiphertextBlob": k.aead().Seal(prefix, nil, q.Plaintext, canonical(prefix, q.EncryptionContext)),
		"KeyId": k.arn(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

func (s *Server) decrypt(q request) (any, *problem) {
	invalid := refusal("InvalidCiphertextException", "")
	blob := q.CiphertextBlob
	if len(blob) < 17 || blob[0] != blobVersion {
		return nil, invalid
	}
	wrote, p := s.find(uuid.UUID(blob[1:17]).String())
	if p != nil {
		return nil, invalid
	}
	if q.KeyId != "" {
		named, p := s.find(q.KeyId)
		if p != nil {
			return nil, p
		}
		if named != wrote {
			return nil, refusal("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		}
	}
	k, p := s.usable(wrote.arn(), false)
	if p != nil {
		return nil, p
	}
	plain, err := k.aead().Open(nil, nil, blob[17:], canonical(blob[:17], q.EncryptionContext))
	if err != nil {
		return nil, invalid
	}
	return map[string]any{"Plaintext": plain, "KeyId": k.arn(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

func (k *key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k.secret)
	if err != nil {
		panic(err) // the secret has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16
	}
	return aead
}

// canonical is the context in one form: the order of its members does not count.
func canonical(prefix []byte, context map[string]string) []byte {
	b := slices.Clone(prefix)
	for _, name := range slices.Sorted(maps.Keys(context)) {
		for _, text := range []string{name, context[name]} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

func (s *Server) sign(q request) (any, *problem) {
	k, p := s.usable(q.KeyId, true)
	switch {
	case p != nil:
		return nil, p
	case len(q.Message) == 0 || len(q.Message) > 4096:
		return nil, refusal("ValidationException", "message must have length between 1 and 4096")
	case q.SigningAlgorithm != "ED25519_SHA_512" || q.MessageType != "RAW":
		return nil, refusal("ValidationException", "Algorithm "+q.SigningAlgorithm+" with message type "+q.MessageType+" does not fit the key")
	}
	return map[string]any{"Signature": ed25519.Sign(k.private, q.Message), "KeyId": k.arn(), "SigningAlgorithm": q.SigningAlgorithm}, nil
}

func (s *Server) publicKey(q request) (any, *problem) {
	k, p := s.find(q.KeyId)
	if p != nil {
		return nil, p
	}
	if k.private == nil {
		return nil, refusal("UnsupportedOperationException", k.arn()+" is symmetric.")
	}
	if k, p = s.usable(q.KeyId, true); p != nil {
		return nil, p
	}
	spki, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, &problem{500, "KMSInternalException", ""}
	}
	return map[string]any{"PublicKey": spki, "KeyId": k.arn(), "KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY",
		"SigningAlgorithms": []string{"ED25519_SHA_512", "ED25519_PH_SHA_512"}}, nil
}

func (s *Server) describe(q request) (any, *problem) {
	k, p := s.find(q.KeyId)
	if p != nil {
		return nil, p
	}
	spec, usage := "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"
	if k.private != nil {
		spec, usage = "ECC_NIST_EDWARDS25519", "SIGN_VERIFY"
	}
	return map[string]any{"KeyMetadata": map[string]any{"KeyId": k.id.String(), "Arn": k.arn(), "AWSAccountId": Account,
		"Enabled": k.state == Enabled, "KeyState": k.state, "KeySpec": spec, "KeyUsage": usage}}, nil
}
