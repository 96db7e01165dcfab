package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
)

// one is a directory of one client.
type one struct {
	client, org uuid.UUID
	secret      [32]byte
}

func (o one) Client(id uuid.UUID) (secret [32]byte, org uuid.UUID, role auth.Role, ok bool) {
	if id != o.client {
		return secret, org, "", false
	}
	return sha256.Sum256(o.secret[:]), o.org, auth.Clinic, true
}

func newOne() one {
	o := one{client: uuid.Must(uuid.NewV7()), org: uuid.Must(uuid.NewV7())}
	copy(o.secret[:], bytes.Repeat([]byte{7}, 32))
	return o
}

func TestRequest(t *testing.T) {
	o := newOne()
	token := auth.Token(o.client, o.secret)
	stranger := auth.Token(uuid.Must(uuid.NewV7()), o.secret)
	for _, c := range []struct {
		name   string
		header http.Header
		want   fault.Code // "" = let in
	}{
		{"right", http.Header{"Authorization": {"Bearer " + token}}, ""},
		{"scheme in other case", http.Header{"Authorization": {"bearer " + token}}, ""},
		{"none", http.Header{}, fault.CodeUnauthenticated},
		{"basic", http.Header{"Authorization": {"Basic " + token}}, fault.CodeUnauthenticated},
		{"empty token", http.Header{"Authorization": {"Bearer "}}, fault.CodeUnauthenticated},
		{"not ours", http.Header{"Authorization": {"Bearer eyJhbGciOi"}}, fault.CodeUnauthenticated},
		{"wrong secret", http.Header{"Authorization": {"Bearer " + auth.Token(o.client, [32]byte{1})}}, fault.CodeUnauthenticated},
		{"unknown client", http.Header{"Authorization": {"Bearer " + stranger}}, fault.CodeUnauthenticated},
		{"cut off", http.Header{"Authorization": {"Bearer " + token[:len(token)-1]}}, fault.CodeUnauthenticated},
		{"another spelling of the secret", http.Header{"Authorization": {"Bearer " + token[:len(token)-1] + "d"}}, fault.CodeUnauthenticated},
		{"two credentials", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, fault.CodeUnauthenticated},
		{"person too long", http.Header{"Authorization": {"Bearer " + token}, auth.HeaderPerson: {strings.Repeat("p", 129)}}, fault.CodeValue},
		{"person not ASCII", http.Header{"Authorization": {"Bearer " + token}, auth.HeaderPerson: {"\xff"}}, fault.CodeValue},
		{"a purpose that is no code", http.Header{"Authorization": {"Bearer " + token}, auth.HeaderPurpose: {"because of Ada"}}, fault.CodeParameter},
		{"a purpose nobody knows", http.Header{"Authorization": {"Bearer " + token}, auth.HeaderPurpose: {"ZYXWV"}}, fault.CodeParameter},
		{"two purposes", http.Header{"Authorization": {"Bearer " + token}, auth.HeaderPurpose: {"TREAT", "ETREAT"}}, fault.CodeValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = c.header
			s, err := auth.NewVerifier(o).Request(r)
			if got := fault.CodeOf(err); got != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("err = %v, want code %q", err, c.want)
			}
			if err != nil && s != (auth.Subject{}) {
				t.Errorf("a refused request has subject %+v", s)
			}
			if err == nil && (s.Client != o.client || s.Org != o.org || s.Role != auth.Clinic) {
				t.Errorf("subject %+v", s)
			}
		})
	}
}

func TestPersonAndPurpose(t *testing.T) {
	o := newOne()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+auth.Token(o.client, o.secret))
	s, err := auth.NewVerifier(o).Request(r)
	if err != nil || s.Person != "" || s.Purpose != "TREAT" {
		t.Errorf("nothing stated: %+v, %v", s, err)
	}
	r.Header.Set(auth.HeaderPerson, "staff-17")
	r.Header.Set(auth.HeaderPurpose, "ETREAT")
	s, err = auth.NewVerifier(o).Request(r)
	if err != nil || s.Person != "staff-17" || s.Purpose != "ETREAT" {
		t.Errorf("stated: %+v, %v", s, err)
	}
}

func TestPassword(t *testing.T) {
	o := newOne()
	v, token := auth.NewVerifier(o), auth.Token(o.client, o.secret)
	if s, err := v.Password(o.client.String(), token); err != nil || s.Org != o.org {
		t.Errorf("right: %+v, %v", s, err)
	}
	for name, user := range map[string]string{"no user": "", "another user": uuid.NewString(), "organisation as user": o.org.String()} {
		if s, err := v.Password(user, token); fault.CodeOf(err) != fault.CodeUnauthenticated || s != (auth.Subject{}) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestErrorsDoNotShowTheToken(t *testing.T) {
	o := newOne()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	token := auth.Token(o.client, [32]byte{9})
	r.Header.Set("Authorization", "Bearer "+token)
	if _, err := auth.NewVerifier(o).Request(r); err == nil || strings.Contains(err.Error(), token[40:]) {
		t.Errorf("err = %v", err)
	}
}

func TestContext(t *testing.T) {
	if _, ok := auth.From(context.Background()); ok {
		t.Error("an empty context has a subject")
	}
	want := auth.Subject{Org: uuid.Must(uuid.NewV7())}
	if got, ok := auth.From(auth.With(context.Background(), want)); !ok || got != want {
		t.Errorf("got %+v", got)
	}
}
