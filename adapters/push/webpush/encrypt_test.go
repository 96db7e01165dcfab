package webpush

import (
	"bytes"
	"cmp"
	"crypto/ecdh"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/dosewire/dosewire/adapters/push/webpush/webpushtest"
)

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// browser is the receiving side, which shares no code with the sender.
type browser struct{ *webpushtest.Browser }

func newBrowser(t testing.TB) browser {
	t.Helper()
	b, err := webpushtest.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	return browser{b}
}

func (b browser) subscription(endpoint string) Subscription {
	s, err := ParseSubscription(b.Subscription(cmp.Or(endpoint, "https://unused.example")))
	if err != nil {
		panic(err)
	}
	return s
}

// RFC 8291 appendix A.
func TestSealMatchesTheRFC(t *testing.T) {
	private, err := ecdh.P256().NewPrivateKey(unbase64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	to := Subscription{
		P256dh: unbase64(t, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
		Auth:   unbase64(t, "BTBZMqHH6r4Tts7J_aSIgg"),
	}
	plain := []byte("When I grow up, I want to be a watermelon")
	salt := [16]byte(unbase64(t, "DGv6ra1nlYgDCS1FRnbzlw"))

	got, err := seal(to, plain, len(plain)+1, private, salt)
	if err != nil {
		t.Fatal(err)
	}
	want := unbase64(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestEveryPayloadHasTheSameLength(t *testing.T) {
	b := newBrowser(t)
	for n := range 256 {
		payload := bytes.Repeat([]byte{'x'}, n)
		body, err := encrypt(b.subscription(""), payload, 256)
		if err != nil {
			t.Fatal(err)
		}
		if want := 86 + 256 + 16; len(body) != want {
			t.Fatalf("payload of %d bytes: body of %d, want %d", n, len(body), want)
		}
		got, err := b.Open(body)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("payload of %d bytes: opened %q, %v", n, got, err)
		}
	}
	if _, err := encrypt(b.subscription(""), make([]byte, 256), 256); !errors.Is(err, ErrPayload) {
		t.Errorf("payload as long as the padding: got %v, want ErrPayload", err)
	}
}

func TestEveryBodyIsFresh(t *testing.T) {
	b := newBrowser(t)
	seen := map[string]bool{}
	for range 8 {
		body, err := encrypt(b.subscription(""), nil, 256)
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(body[:86])] {
			t.Fatal("salt and key used twice")
		}
		seen[string(body[:86])] = true
	}
}

func TestAChangedBodyDoesNotOpen(t *testing.T) {
	b := newBrowser(t)
	body, err := encrypt(b.subscription(""), []byte("wake"), 256)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-1] ^= 1
	if _, err := b.Open(body); err == nil {
		t.Error("opened")
	}
}

func TestParseSubscription(t *testing.T) {
	const point = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	const auth = "BTBZMqHH6r4Tts7J_aSIgg"
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"as browsers write it", `{"endpoint":"https://e","expirationTime":null,"keys":{"p256dh":"` + point + `","auth":"` + auth + `"}}`, true},
		{"with padding", `{"endpoint":"https://e","keys":{"p256dh":"` + point + `=","auth":"` + auth + `=="}}`, true},
		{"no endpoint", `{"keys":{"p256dh":"` + point + `","auth":"` + auth + `"}}`, false},
		{"short secret", `{"endpoint":"https://e","keys":{"p256dh":"` + point + `","auth":"AAAA"}}`, false},
		{"point off the curve", `{"endpoint":"https://e","keys":{"p256dh":"` + point[:80] + `AAAAAAA","auth":"` + auth + `"}}`, false},
		{"no keys", `{"endpoint":"https://e"}`, false},
		{"not JSON", `endpoint`, false},
	} {
		_, err := ParseSubscription([]byte(c.in))
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	to := newBrowser(b).subscription("")
	payload := make([]byte, 180)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encrypt(to, payload, 256); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}
