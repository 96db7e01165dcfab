package webpush

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestGuardByName(t *testing.T) {
	open := guard{hosts: DefaultHosts()}
	demo := guard{hosts: DefaultHosts(), loopback: true}
	for _, c := range []struct {
		name, endpoint string
		g              guard
		service        string // "" = refused
	}{
		{"Chrome", "https://fcm.googleapis.com/fcm/send/abc:def", open, "fcm.googleapis.com"},
		{"Firefox", "https://updates.push.services.mozilla.com/wpush/v2/abc", open, "updates.push.services.mozilla.com"},
		{"Safari", "https://web.push.apple.com/Qabc", open, "push.apple.com"},
		{"Edge", "https://wns2-db5p.notify.windows.com/w/?token=abc", open, "notify.windows.com"},
		{"upper case", "https://FCM.googleapis.com/x", open, "fcm.googleapis.com"},
		{"its own port", "https://fcm.googleapis.com:443/x", open, "fcm.googleapis.com"},
		{"in clear", "http://fcm.googleapis.com/x", open, ""},
		{"another port", "https://fcm.googleapis.com:8443/x", open, ""},
		{"user information", "https://fcm.googleapis.com@evil.example/x", open, ""},
		{"password", "https://a:b@fcm.googleapis.com/x", open, ""},
		{"fragment", "https://fcm.googleapis.com/x#y", open, ""},
		{"only ends alike", "https://evilfcm.googleapis.com/x", open, ""},
		{"longer", "https://fcm.googleapis.com.evil.example/x", open, ""},
		{"trailing dot", "https://fcm.googleapis.com./x", open, ""},
		{"another host", "https://evil.example/x", open, ""},
		{"public address", "https://93.184.216.34/x", open, ""},
		{"metadata service", "http://169.254.169.254/latest", demo, ""},
		{"private address", "https://10.0.0.1/x", demo, ""},
		{"file", "file:///etc/passwd", demo, ""},
		{"opaque", "https:fcm.googleapis.com", open, ""},
		{"empty", "", open, ""},
		{"loopback, not said", "http://127.0.0.1:8080/x", open, ""},
		{"loopback, said", "http://127.0.0.1:8080/x", demo, "loopback"},
		{"loopback by name", "http://localhost:8080/x", demo, "loopback"},
		{"loopback, six", "http://[::1]:8080/x", demo, "loopback"},
		{"a name that begins like it", "http://localhost.evil.example/x", demo, ""},
		{"gopher on loopback", "gopher://127.0.0.1/x", demo, ""},
	} {
		got, err := c.g.check(c.endpoint)
		if got.service != c.service || (err == nil) != (c.service != "") {
			t.Errorf("%s: got %q, %v; want %q", c.name, got.service, err, c.service)
		}
		if err != nil && !errors.Is(err, ErrEndpoint) {
			t.Errorf("%s: got %v, want ErrEndpoint", c.name, err)
		}
	}
}

func TestOriginIsTheAudience(t *testing.T) {
	g := guard{hosts: DefaultHosts()}
	for in, want := range map[string]string{
		"https://FCM.googleapis.com:443/x": "https://fcm.googleapis.com",
		"https://web.push.apple.com/x?y=z": "https://web.push.apple.com",
	} {
		got, err := g.check(in)
		if err != nil || got.origin != want {
			t.Errorf("got %q, %v; want %q", got.origin, err, want)
		}
	}
}

func TestGuardByAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "142.250.74.10": true, "2a00:1450:4001::8a": true, "2620:149:af0::10": true,
		"::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"127.0.0.1": false, "127.8.9.1": false, "::1": false, "0.0.0.0": false, "::": false,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "192.0.2.1": false,
		"198.18.0.1": false, "198.19.255.255": false, "198.51.100.7": false, "203.0.113.7": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "ff02::1": false,
		"::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "64:ff9b::a00:1": false, "64:ff9b::7f00:1": false,
		"2001::1": false, "2001:db8::1": false, "2002:a00:1::": false, "64:ff9b:1::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}

// A permitted name that resolves to this machine must not be connected to.
func TestDialRefusesAnInternalAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = guard{hosts: []string{"127.0.0.1"}}.dial(context.Background(), "tcp", l.Addr().String())
	if !errors.Is(err, ErrAddress) {
		t.Errorf("got %v, want ErrAddress", err)
	}
	conn, err := guard{loopback: true}.dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
