package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
)

// Role is what an organisation is, and so which routes and messages are its own.
type Role string

const (
	Clinic   Role = "clinic"
	Pharmacy Role = "pharmacy"
)

// Headers with which a client states for whom it acts.
const (
	HeaderPerson  = "Rx-Person"
	HeaderPurpose = "Rx-Purpose"
)

// Subject is who is calling: a client of an organisation, with the acting person and purpose as
// stated. The zero Subject is nobody.
type Subject struct {
	Client  uuid.UUID
	Org     uuid.UUID
	Role    Role
	Person  string // opaque, at most 128 bytes; "" = not stated
	Purpose string // a v3 PurposeOfUse code, at most 32 bytes; TREAT when not stated
}

// Directory finds who a credential belongs to. ok is false for an unknown or disabled client.
type Directory interface {
	Client(id uuid.UUID) (secret [32]byte, org uuid.UUID, role Role, ok bool)
}

// Verifier turns requests into Subjects. Safe for concurrent use.
type Verifier struct{ directory Directory }

// NewVerifier checks credentials against d.
func NewVerifier(d Directory) *Verifier { return &Verifier{d} }

// Token is the bearer token of a client: dw_<client id>_<secret, base64url of 32 bytes>.
func Token(client uuid.UUID, secret [32]byte) string {
	return "dw_" + client.String() + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
}

// parse reads what Token wrote.
func parse(token string) (client uuid.UUID, secret []byte, ok bool) {
	rest, ok := strings.CutPrefix(token, "dw_")
	if !ok || len(rest) < 37 || rest[36] != '_' {
		return client, nil, false
	}
	client, err := uuid.Parse(rest[:36])
	if err != nil {
		return client, nil, false
	}
	secret, err = base64.RawURLEncoding.Strict().DecodeString(rest[37:])
	return client, secret, err == nil && len(secret) == 32
}

// Request returns the caller of r. fault.CodeUnauthenticated when there is none, it is wrong, or
// several are given; fault.CodeParameter for a purpose that is not known; fault.CodeValue when the person or purpose stated is too long or not printable
// ASCII (the access row must hold it as sent).
func (v *Verifier) Request(r *http.Request) (Subject, error) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return Subject{}, fault.Of(fault.CodeUnauthenticated)
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Subject{}, fault.Of(fault.CodeUnauthenticated)
	}
	s, err := v.token(strings.TrimSpace(token))
	if err != nil {
		return Subject{}, err
	}
	if s.Person, err = stated(r, HeaderPerson, 128); err != nil {
		return Subject{}, err
	}
	if s.Purpose, err = stated(r, HeaderPurpose, 32); err != nil {
		return Subject{}, err
	}
	if s.Purpose == "" {
		s.Purpose = "TREAT"
	}
	if !slices.Contains(purposes, s.Purpose) {
		return Subject{}, fault.Of(fault.CodeParameter).At("header " + HeaderPurpose)
	}
	return s, nil
}

// stated is a header that the client may send once, of at most most bytes.
func stated(r *http.Request, name string, most int) (string, error) {
	given := r.Header.Values(name)
	if len(given) == 0 {
		return "", nil
	}
	if len(given) > 1 || len(given[0]) > most || !printable(given[0]) {
		return "", fault.Of(fault.CodeValue).At("header " + name)
	}
	return given[0], nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// Password returns the caller with a NATS user name (the client id) and password (the token).
// fault.CodeUnauthenticated when they do not belong together or to anybody.
func (v *Verifier) Password(user, password string) (Subject, error) {
	s, err := v.token(password)
	if err == nil && s.Client.String() != user {
		err = fault.Of(fault.CodeUnauthenticated)
	}
	if err != nil {
		return Subject{}, err
	}
	return s, nil
}

// token looks the client up and hashes and compares even when the token is malformed or the client
// unknown, so that time tells nothing.
func (v *Verifier) token(token string) (Subject, error) {
	client, secret, formed := parse(token)
	hash := sha256.Sum256(secret)
	want, org, role, known := v.directory.Client(client)
	equal := subtle.ConstantTimeCompare(hash[:], want[:]) == 1
	if !formed || !known || !equal {
		return Subject{}, fault.Of(fault.CodeUnauthenticated)
	}
	return Subject{Client: client, Org: org, Role: role}, nil
}

type contextKey struct{}

// With returns a context that carries s.
func With(ctx context.Context, s Subject) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// From returns the Subject that With put into ctx.
func From(ctx context.Context) (Subject, bool) {
	s, ok := ctx.Value(contextKey{}).(Subject)
	return s, ok
}
