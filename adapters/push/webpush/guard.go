package webpush

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultHosts are the push services of the browsers in use. An endpoint's host must equal one of
// them or end in "." and it.
func DefaultHosts() []string {
	return []string{
		"fcm.googleapis.com",
		"updates.push.services.mozilla.com",
		"push.apple.com",
		"notify.windows.com",
	}
}

const maxEndpoint = 2048 // bytes

// guard decides which endpoints may be contacted, first by name, then by address.
type guard struct {
	hosts    []string // lower case
	loopback bool     // also http and https on this machine, any port: tests and demonstrations
}

// target is an endpoint that passed.
type target struct {
	url     *url.URL
	origin  string // scheme://host[:port], the audience of the VAPID token
	service string // the allowed host it belongs to, or "loopback": a label of bounded variety
}

// check judges an endpoint by name. ErrEndpoint.
func (g guard) check(endpoint string) (target, error) {
	if len(endpoint) > maxEndpoint {
		return target{}, ErrEndpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Host == "" {
		return target{}, ErrEndpoint
	}
	origin := u.Scheme + "://" + strings.ToLower(u.Host)
	host := strings.ToLower(u.Hostname())
	if g.loopback && isLoopback(host) && (u.Scheme == "http" || u.Scheme == "https") {
		return target{u, origin, "loopback"}, nil
	}
	if u.Scheme != "https" || (u.Port() != "" && u.Port() != "443") {
		return target{}, ErrEndpoint
	}
	for _, h := range g.hosts {
		if host == h || strings.HasSuffix(host, "."+h) {
			return target{u, strings.TrimSuffix(origin, ":443"), h}, nil
		}
	}
	return target{}, ErrEndpoint
}

// dial connects to an endpoint that passed check and whose addresses are public.
func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, ErrAddress
	}
	here := g.loopback && isLoopback(host)
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second,
		// Control sees each address after the name was resolved: a name cannot be rebound to an
		// internal address between check and connection.
		Control: func(_, resolved string, _ syscall.RawConn) error {
			ip, err := netip.ParseAddrPort(resolved)
			if err != nil || !(isPublic(ip.Addr()) || here && ip.Addr().Unmap().IsLoopback()) {
				return ErrAddress
			}
			return nil
		}}
	return d.DialContext(ctx, network, address)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// isPublic reports whether ip is an ordinary address of the internet: RFC 6890 and its successors
// without what is private, shared, reserved or for documentation.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	if b := ip.As16(); ip.Is6() && [12]byte(b[:12]) == nat64() { // the IPv4 address that a gateway would call
		return isPublic(netip.AddrFrom4([4]byte(b[12:])))
	}
	return !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// nat64 is 64:ff9b::/96 (RFC 6052).
func nat64() [12]byte { return [12]byte{0x00, 0x64, 0xff, 0x9b} }

// special lists what IsGlobalUnicast and IsPrivate let through.
func special() []netip.Prefix {
	v4 := func(a, b, c byte, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, 0}), bits)
	}
	v6 := func(a, b, c, d byte, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{a, b, c, d}), bits)
	}
	return []netip.Prefix{
		v4(0, 0, 0, 8), v4(100, 64, 0, 10), v4(192, 0, 0, 24), v4(192, 0, 2, 24), v4(192, 88, 99, 24),
		v4(198, 18, 0, 15), v4(198, 51, 100, 24), v4(203, 0, 113, 24), v4(240, 0, 0, 4),
		v6(0x00, 0x64, 0xff, 0x9b, 32), // local-use NAT64 and the rest of that block
		v6(0x01, 0x00, 0, 0, 64),       // discard
		v6(0x20, 0x01, 0, 0, 23),       // Teredo, benchmarking, ORCHID
		v6(0x20, 0x01, 0x0d, 0xb8, 32), // documentation
		v6(0x20, 0x02, 0, 0, 16),       // 6to4
		v6(0x3f, 0xff, 0, 0, 20),       // documentation
		v6(0xfe, 0xc0, 0, 0, 10),       // site-local
		v6(0x5f, 0x00, 0, 0, 16),       // segment routing
	}
}
