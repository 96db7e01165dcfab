package webpush

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSender(t testing.TB, o Options) *Sender {
	t.Helper()
	if o.Key == nil {
		o.Key = newKey(t)
	}
	o.AllowLoopback = true
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSendIsReadByTheBrowser(t *testing.T) {
	b := newBrowser(t)
	var got *http.Request
	var body []byte
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer service.Close()

	s := newSender(t, Options{Subject: "mailto:ops@dosewire.example"})
	o, err := s.Send(t.Context(), b.subscription(service.URL+"/wpush/secret"),
		Message{Payload: []byte("wake"), TTL: 90 * time.Second, Urgency: High, Topic: "inbox"})
	if err != nil || o.Verdict != Sent || o.Status != 201 || o.Service != "loopback" {
		t.Fatalf("got %+v, %v", o, err)
	}
	plain, err := b.Open(body)
	if err != nil || string(plain) != "wake" {
		t.Errorf("opened %q, %v", plain, err)
	}
	for name, want := range map[string]string{
		"Content-Encoding": "aes128gcm", "TTL": "90", "Urgency": "high", "Topic": "inbox",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: got %q, want %q", name, v, want)
		}
	}
	verifyVAPID(t, got.Header.Get("Authorization"), service.URL, s.PublicKey())
}

// verifyVAPID checks the header as a push service does (RFC 8292 §4.2).
func verifyVAPID(t *testing.T, header, audience, public string) {
	t.Helper()
	rest, ok := strings.CutPrefix(header, "vapid t=")
	jwt, k, ok2 := strings.Cut(rest, ", k=")
	if !ok || !ok2 || k != public {
		t.Fatalf("not a vapid header, or not our key")
	}
	point := unbase64(t, k)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	sig := unbase64(t, parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(sig) != 64 || !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Fatal("signature does not verify")
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(unbase64(t, parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	left := time.Until(time.Unix(claims.Exp, 0))
	if claims.Aud != audience || claims.Sub != "mailto:ops@dosewire.example" || left <= 0 || left > 24*time.Hour {
		t.Errorf("claims %+v", claims)
	}
}

func TestOneSignaturePerServiceAndTwelveHours(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	v, err := newVAPID(newKey(t), "", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	header := func(origin string) string {
		h, err := v.authorization(origin)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := header("https://a")
	if header("https://a") != first {
		t.Error("signed twice")
	}
	if header("https://b") == first {
		t.Error("one token for two services")
	}
	now = now.Add(10 * time.Hour)
	if header("https://a") != first {
		t.Error("signed again with two hours left")
	}
	now = now.Add(90 * time.Minute)
	if header("https://a") == first {
		t.Error("token kept until its end")
	}
	for i := range 2 * maxTokens {
		header("https://" + string(rune('a'+i%26)) + strings.Repeat("x", i))
	}
	if n := len(v.tokens); n > maxTokens {
		t.Errorf("%d tokens kept", n)
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		after  string
		want   Verdict
		wait   time.Duration
	}{
		{200, "", Sent, 0}, {201, "", Sent, 0}, {202, "", Sent, 0}, {204, "", Sent, 0},
		{404, "", Dead, 0}, {410, "", Dead, 0},
		{401, "", Config, 0}, {403, "", Config, 0}, {400, "", Config, 0}, {405, "", Config, 0}, {413, "", Config, 0},
		{301, "", Config, 0}, {307, "", Config, 0},
		{408, "", Retry, 0}, {429, "", Retry, 0}, {500, "", Retry, 0}, {502, "", Retry, 0}, {503, "", Retry, 0},
		{429, "3", Retry, 3 * time.Second},
		{503, "Sun, 01 Mar 2026 12:01:00 GMT", Retry, time.Minute},
		{503, "Sun, 01 Mar 2026 11:00:00 GMT", Retry, 0},
		{429, "99999999", Retry, 24 * time.Hour},
		{429, "-5", Retry, 0}, {429, "soon", Retry, 0},
	} {
		h := http.Header{}
		if c.after != "" {
			h.Set("Retry-After", c.after)
		}
		got := Judge(c.status, h, now)
		if got.Verdict != c.want || got.After != c.wait || got.Status != c.status {
			t.Errorf("%d Retry-After %q: got %v after %v, want %v after %v", c.status, c.after, got.Verdict, got.After, c.want, c.wait)
		}
	}
}

func TestSendFollowsNoRedirect(t *testing.T) {
	var second atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/second" {
			second.Store(true)
			return
		}
		http.Redirect(w, r, "/second", http.StatusTemporaryRedirect)
	}))
	defer service.Close()
	o, err := newSender(t, Options{}).Send(t.Context(), newBrowser(t).subscription(service.URL), Message{})
	if o.Verdict != Config || o.Status != 307 || err == nil || second.Load() {
		t.Errorf("got %+v, %v, followed %v", o, err, second.Load())
	}
}

func TestSendRefuses(t *testing.T) {
	s := newSender(t, Options{})
	b := newBrowser(t)
	for _, c := range []struct {
		name string
		to   Subscription
		m    Message
		want Verdict
		err  error
	}{
		{"foreign endpoint", b.subscription("https://evil.example/canary"), Message{}, Dead, ErrEndpoint},
		{"broken key", Subscription{Endpoint: "http://127.0.0.1:1/canary", P256dh: []byte{4}, Auth: make([]byte, 16)}, Message{}, Dead, ErrSubscription},
		{"long payload", b.subscription("http://127.0.0.1:1/canary"), Message{Payload: make([]byte, 256)}, Config, ErrPayload},
		{"bad topic", b.subscription("http://127.0.0.1:1/canary"), Message{Topic: "a b"}, Config, ErrTopic},
		{"nobody there", b.subscription("http://127.0.0.1:1/canary"), Message{}, Retry, nil},
	} {
		o, err := s.Send(t.Context(), c.to, c.m)
		if o.Verdict != c.want || err == nil || (c.err != nil && !errors.Is(err, c.err)) {
			t.Errorf("%s: got %v, %v", c.name, o.Verdict, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error names the endpoint", c.name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o, err := s.Send(ctx, b.subscription("http://127.0.0.1:1/canary"), Message{}); o.Verdict != Retry || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, %v", o.Verdict, err)
	}
}

func TestNewRefusesOptions(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no key":   {},
		"P-384":    {Key: other},
		"RSA":      {Key: big},
		"padding":  {Key: newKey(t), Pad: MaxPad + 1},
		"host":     {Key: newKey(t), AllowHosts: []string{"https://x"}},
		"wildcard": {Key: newKey(t), AllowHosts: []string{"*.example"}},
	} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: got %v, want ErrOptions", name, err)
		}
	}
}

func TestPublicKeyIsAPoint(t *testing.T) {
	b, err := base64.RawURLEncoding.DecodeString(newSender(t, Options{}).PublicKey())
	if err != nil || len(b) != 65 || b[0] != 4 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

func BenchmarkSend(b *testing.B) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer service.Close()
	s := newSender(b, Options{})
	to := newBrowser(b).subscription(service.URL)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if o, err := s.Send(b.Context(), to, Message{Payload: make([]byte, 180)}); o.Verdict != Sent {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}
