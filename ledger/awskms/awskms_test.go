package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/awskms"
	"github.com/dosewire/dosewire/ledger/awskms/kmstest"
	"github.com/dosewire/dosewire/ledger/ledgertest"
	"github.com/dosewire/dosewire/ledger/sqlite"
)

// endpoint serves a KMS to the real SDK, with credentials that lead nowhere else.
func endpoint(t testing.TB) (*kmstest.Server, string) {
	t.Helper()
	s := kmstest.New()
	served := httptest.NewServer(s)
	t.Cleanup(served.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", strings.Repeat("s", 40)) // as long as AWS's
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return s, served.URL
}

func open(t testing.TB, c awskms.Config) *awskms.Wrapper {
	t.Helper()
	w, err := awskms.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return w
}

func TestWrapper(t *testing.T) {
	s, url := endpoint(t)
	ledgertest.TestKeyWrapper(t, func(t testing.TB) ledger.KeyWrapper {
		return open(t, awskms.Config{Key: s.NewKey(), Endpoint: url})
	})
}

// TestTroubles is the table of what can be wrong with KMS, each with its kind and its advice.
func TestTroubles(t *testing.T) {
	s, url := endpoint(t)
	c := awskms.Config{Key: s.NewKey(), Endpoint: url, Attempt: 200 * time.Millisecond, Timeout: 5 * time.Second, Pause: 20 * time.Millisecond}
	w := open(t, c)
	aad := []byte("dosewire/kek/v1/x")
	blob, err := w.Wrap(t.Context(), bytes.Repeat([]byte{7}, 32), aad)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	foreign, err := open(t, awskms.Config{Key: s.NewKey(), Endpoint: url}).Wrap(t.Context(), []byte("key"), aad)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	code := func(code string, status int) func() {
		return func() { s.Trouble(kmstest.Trouble{Code: code, Status: status}) }
	}
	for _, tt := range []struct {
		name   string
		break_ func()
		blob   []byte
		aad    []byte
		want   error
		kind   fault.Kind
		says   string
		tries  int
	}{
		{"throttled", code("ThrottlingException", 400), blob, aad, awskms.ErrBusy, fault.Unavailable, "quota", 5},
		{"denied", code("AccessDeniedException", 400), blob, aad, awskms.ErrDenied, fault.Denied, "kms:Decrypt", 1},
		{"bad credentials", code("UnrecognizedClientException", 400), blob, aad, awskms.ErrDenied, fault.Denied, "credentials", 1},
		{"internal", code("KMSInternalException", 500), blob, aad, awskms.ErrDown, fault.Unavailable, "reached", 5},
		{"dependency", code("DependencyTimeoutException", 500), blob, aad, awskms.ErrDown, fault.Unavailable, "reached", 5},
		{"unknown 503", code("SomethingNew", 503), blob, aad, awskms.ErrDown, fault.Unavailable, "reached", 5},
		{"cut", func() { s.Trouble(kmstest.Trouble{Cut: true}) }, blob, aad, awskms.ErrDown, fault.Unavailable, "reached", 5},
		{"slow", func() { s.Trouble(kmstest.Trouble{Delay: 10 * time.Second}) }, blob, aad, awskms.ErrDown, fault.Unavailable, "reached", 5},
		{"disabled", func() { s.Set(c.Key, kmstest.Disabled) }, blob, aad, awskms.ErrDisabled, fault.Denied, "enable-key", 1},
		{"pending deletion", func() { s.Set(c.Key, kmstest.PendingDeletion) }, blob, aad, awskms.ErrDeletion, fault.Denied, "cancel-key-deletion", 1},
		{"another purpose", func() {}, blob, []byte("dosewire/kek/v1/y"), awskms.ErrUnwrap, fault.Tampered, "purpose", 1},
		{"another key's blob", func() {}, foreign, aad, awskms.ErrUnwrap, fault.Tampered, "did not wrap", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.break_()
			defer func() { s.Trouble(kmstest.Trouble{}); s.Set(c.Key, kmstest.Enabled) }()
			before, began := s.Requests(), time.Now()
			_, err := open(t, c).Unwrap(t.Context(), tt.blob, tt.aad)
			if !errors.Is(err, tt.want) || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Unwrap: %v, want kind %v and %q", err, tt.kind, tt.says)
			}
			if n := s.Requests() - before; n != tt.tries {
				t.Errorf("%d requests, want %d", n, tt.tries)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if got, err := w.Unwrap(t.Context(), blob, aad); err != nil || len(got) != 32 {
		t.Errorf("after all troubles: %v", err)
	}
}

// TestPassingTroublesAreRidden: what passes within a few attempts is not seen at all.
func TestPassingTroublesAreRidden(t *testing.T) {
	s, url := endpoint(t)
	w := open(t, awskms.Config{Key: s.NewKey(), Endpoint: url, Attempt: 300 * time.Millisecond, Pause: 20 * time.Millisecond})
	for name, trouble := range map[string]kmstest.Trouble{
		"throttled": {Code: "ThrottlingException", Times: 2}, "500": {Code: "KMSInternalException", Status: 500, Times: 2},
		"cut": {Cut: true, Times: 2}, "slow": {Delay: 2 * time.Second, Times: 1},
	} {
		s.Trouble(trouble)
		if _, err := w.Wrap(t.Context(), []byte("key"), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	s, _ := endpoint(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := open(t, awskms.Config{Key: s.NewKey(), Endpoint: "http://" + l.Addr().String(), Timeout: 2 * time.Second})
	if _, err := w.Wrap(t.Context(), []byte("key"), nil); !errors.Is(err, awskms.ErrDown) {
		t.Errorf("Wrap: %v, want ErrDown", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Wrap(ctx, []byte("key"), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Wrap of one who left: %v", err)
	}
}

func TestUnknownKeyAndWrongKind(t *testing.T) {
	s, url := endpoint(t)
	absent := "arn:aws:kms:" + kmstest.Region + ":" + kmstest.Account + ":key/00000000-0000-0000-0000-000000000000"
	if _, err := open(t, awskms.Config{Key: absent, Endpoint: url}).Wrap(t.Context(), []byte("key"), nil); !errors.Is(err, awskms.ErrNoKey) {
		t.Errorf("unknown key: %v, want ErrNoKey", err)
	}
	if _, err := open(t, awskms.Config{Key: s.NewSigningKey(), Endpoint: url}).Wrap(t.Context(), []byte("key"), nil); !errors.Is(err, awskms.ErrUsage) {
		t.Errorf("a signing key: %v, want ErrUsage", err)
	}
	for name, c := range map[string]awskms.Config{
		"no ARN": {Key: "1234"}, "alias": {Key: "arn:aws:kms:eu-central-1:1:alias/x"}, "another service": {Key: "arn:aws:s3:eu-central-1:1:key/x"},
		"clear text": {Key: absent, Endpoint: "http://kms.example"}, "no URL": {Key: absent, Endpoint: "kms.example"},
	} {
		if _, err := awskms.Open(t.Context(), c); !errors.Is(err, awskms.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
}

// TestKeyringOnKMS: a keyring asks KMS when it opens and when it rotates, shows it random ids alone,
// and works on while KMS does not.
func TestKeyringOnKMS(t *testing.T) {
	s, url := endpoint(t)
	w := open(t, awskms.Config{Key: s.NewKey(), Endpoint: url, Timeout: time.Second, Pause: 10 * time.Millisecond})
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := sqlite.MigrateKeys(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	k, err := ledger.OpenKeyring(t.Context(), db, w)
	if err != nil {
		t.Fatalf("OpenKeyring: %v", err)
	}
	if _, err := k.Rotate(t.Context()); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	s.Trouble(kmstest.Trouble{Cut: true})
	before := s.Requests()
	for i := range 100 {
		ref := ledger.PatientRef{Org: ledger.ID{1}, Index: []ledger.Key{k.Index(ledger.ID{1}, "mrn", fmt.Sprint(i))}}
		keys, err := k.Patients(t.Context(), []ledger.PatientRef{ref})
		if err != nil {
			t.Fatalf("Patients without KMS: %v", err)
		}
		k.Forget(keys[0].Patient)
		if _, err := k.ForPatient(t.Context(), keys[0].Patient); err != nil {
			t.Fatalf("ForPatient without KMS: %v", err)
		}
	}
	if r, err := k.Rewrap(t.Context(), db, nil); err != nil || len(r.Retired) != 1 {
		t.Errorf("Rewrap without KMS: %+v, %v", r, err)
	}
	if n := s.Requests() - before; n != 0 {
		t.Errorf("%d requests to KMS while recording, want none", n)
	}
	if _, err := ledger.OpenKeyring(t.Context(), db, w); !errors.Is(err, awskms.ErrDown) || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("OpenKeyring without KMS: %v, want ErrDown", err)
	}
	shape := regexp.MustCompile(`^dosewire/(kek|index)/v1/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for _, c := range s.Contexts() {
		if len(c) != 1 || !shape.MatchString(c["dosewire"]) {
			t.Errorf("CloudTrail would show %v", c)
		}
	}
}

func TestUnsignedRequestsAreRefused(t *testing.T) {
	_, url := endpoint(t)
	resp, err := http.Post(url, "application/x-amz-json-1.1", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an unsigned request: %d", resp.StatusCode)
	}
}

func TestSigner(t *testing.T) {
	s, url := endpoint(t)
	c := awskms.Config{Key: s.NewSigningKey(), Endpoint: url, Timeout: 3 * time.Second}
	signer, err := awskms.OpenSigner(t.Context(), c, "dosewire.example/log")
	if err != nil {
		t.Fatalf("OpenSigner: %v", err)
	}
	text := "dosewire.example/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	verifier, err := note.NewVerifier(signer.VerifierKey())
	if err != nil {
		t.Fatalf("NewVerifier: %v", err)
	}
	if n, err := note.Open(signed, note.VerifierList(verifier)); err != nil || n.Text != text || len(n.Sigs) != 1 {
		t.Errorf("Open: %v, %v", n, err)
	}
	if _, err := note.Open(bytes.Replace(signed, []byte("\n7\n"), []byte("\n8\n"), 1), note.VerifierList(verifier)); err == nil {
		t.Error("a changed note verifies")
	}
	if _, err := signer.Sign(make([]byte, 4097)); !errors.Is(err, awskms.ErrMessage) {
		t.Errorf("4097 bytes: %v, want ErrMessage", err)
	}
	s.Set(c.Key, kmstest.PendingDeletion)
	if _, err := signer.Sign([]byte(text)); !errors.Is(err, awskms.ErrDeletion) {
		t.Errorf("Sign: %v, want ErrDeletion", err)
	}
	if _, err := awskms.OpenSigner(t.Context(), awskms.Config{Key: s.NewKey(), Endpoint: url}, "x"); !errors.Is(err, awskms.ErrUsage) {
		t.Errorf("a symmetric key: %v, want ErrUsage", err)
	}
	if _, err := awskms.OpenSigner(t.Context(), awskms.Config{Key: s.NewSigningKey(), Endpoint: url}, "a b"); !errors.Is(err, awskms.ErrName) {
		t.Errorf("a name with a space: %v, want ErrName", err)
	}
}

func BenchmarkUnwrap(b *testing.B) {
	s, url := endpoint(b)
	w := open(b, awskms.Config{Key: s.NewKey(), Endpoint: url})
	blob, err := w.Wrap(b.Context(), bytes.Repeat([]byte{7}, 32), nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Unwrap(b.Context(), blob, nil); err != nil {
			b.Fatal(err)
		}
	}
}
