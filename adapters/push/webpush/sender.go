package webpush

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Options of a Sender.
type Options struct {
	// Key is the VAPID key, ECDSA on P-256. Changing it ends every subscription made under it.
	Key crypto.Signer
	// Subject is whom a push service can reach about this sender: a mailto: or https: URL
	// (RFC 8292 §2.1). Apple refuses tokens without one.
	Subject string
	// AllowHosts are the hosts below which endpoints may lie. nil means DefaultHosts.
	AllowHosts []string
	// AllowLoopback also allows endpoints on this machine, in clear and on any port. For tests and
	// demonstrations only.
	AllowLoopback bool
	// Pad is the length of every padded payload, bytes, 2 to MaxPad. 0 means 256.
	Pad int
	// Timeout bounds one attempt. 0 means 15 s.
	Timeout time.Duration
	// Now is the clock. nil means time.Now.
	Now func() time.Time
}

// Urgency is how soon a device should be woken (RFC 8030 §5.3). The zero value is normal.
type Urgency string

const (
	VeryLow Urgency = "very-low"
	Low     Urgency = "low"
	Normal  Urgency = "normal"
	High    Urgency = "high"
)

// Message is one push.
type Message struct {
	Payload []byte        // shorter than Options.Pad
	TTL     time.Duration // how long the push service keeps it, whole seconds; 0 = now or never
	Urgency Urgency
	Topic   string // replaces an undelivered message of the same topic: at most 32 base64url characters; "" = none
}

// Sender sends. Safe for concurrent use.
type Sender struct {
	guard  guard
	vapid  *vapid
	pad    int
	now    func() time.Time
	client *http.Client
}

// New checks o. ErrOptions.
func New(o Options) (*Sender, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pad == 0 {
		o.Pad = 256
	}
	if o.Pad < 2 || o.Pad > MaxPad {
		return nil, fmt.Errorf("%w: Pad is not 2 to %d", ErrOptions, MaxPad)
	}
	if o.AllowHosts == nil {
		o.AllowHosts = DefaultHosts()
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	v, err := newVAPID(o.Key, o.Subject, o.Now)
	if err != nil {
		return nil, err
	}
	g := guard{loopback: o.AllowLoopback}
	for _, h := range o.AllowHosts {
		h = strings.ToLower(strings.Trim(h, "."))
		if h == "" || strings.ContainsAny(h, "/:@*") {
			return nil, fmt.Errorf("%w: AllowHosts holds something that is not a host name", ErrOptions)
		}
		g.hosts = append(g.hosts, h)
	}
	return &Sender{guard: g, vapid: v, pad: o.Pad, now: o.Now, client: newClient(g, o.Timeout)}, nil
}

func newClient(g guard, timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			Proxy:                 nil, // a proxy would resolve names past the guard
			DialContext:           g.dial,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   4,
			MaxConnsPerHost:       16,
			IdleConnTimeout:       5 * time.Minute,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: timeout,
			// A push service may drop an idle connection without a word.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
		},
	}
}

// PublicKey is the application server key that browsers subscribe with, base64url without padding.
func (s *Sender) PublicKey() string { return s.vapid.public }

// Send makes one attempt. The error explains every Outcome but Sent and is nil for Sent; it never
// holds the endpoint. A subscription that cannot be used (ErrSubscription, ErrEndpoint) is Dead.
// ErrPayload and ErrTopic are the caller's mistake and Config. No answer, ErrAddress and a cancelled
// ctx are Retry.
func (s *Sender) Send(ctx context.Context, to Subscription, m Message) (Outcome, error) {
	t, err := s.guard.check(to.Endpoint)
	if err != nil {
		return Outcome{Verdict: Dead}, err
	}
	o, err := s.send(ctx, t, to, m)
	o.Service = t.service
	return o, err
}

func (s *Sender) send(ctx context.Context, t target, to Subscription, m Message) (Outcome, error) {
	req, err := s.request(ctx, t, to, m)
	switch {
	case errors.Is(err, ErrSubscription):
		return Outcome{Verdict: Dead}, err
	case err != nil:
		return Outcome{Verdict: Config}, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return Outcome{Verdict: Retry}, blind(err)
	}
	// A drained body lets the connection serve the next push; a longer one is not worth reading.
	io.Copy(io.Discard, io.LimitReader(res.Body, 16<<10))
	res.Body.Close()
	o := Judge(res.StatusCode, res.Header, s.now())
	if o.Verdict != Sent {
		return o, fmt.Errorf("webpush: %s answered %d", t.service, o.Status)
	}
	return o, nil
}

// blind removes the URL, which is the subscription's secret, from a transport error.
func blind(err error) error {
	for _, known := range []error{ErrAddress, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return fmt.Errorf("webpush: no answer: %w", known)
		}
	}
	return errors.New("webpush: no answer")
}

func (s *Sender) request(ctx context.Context, t target, to Subscription, m Message) (*http.Request, error) {
	if !validTopic(m.Topic) {
		return nil, ErrTopic
	}
	body, err := encrypt(to, m.Payload, s.pad)
	if err != nil {
		return nil, err
	}
	authorization, err := s.vapid.authorization(t.origin)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, ErrSubscription
	}
	h := req.Header
	h.Set("Authorization", authorization)
	h.Set("Content-Encoding", "aes128gcm")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("TTL", strconv.FormatInt(int64(max(m.TTL, 0)/time.Second), 10))
	if m.Urgency != "" {
		h.Set("Urgency", string(m.Urgency))
	}
	if m.Topic != "" {
		h.Set("Topic", m.Topic)
	}
	return req, nil
}

// validTopic is RFC 8030 §5.4.
func validTopic(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return len(s) <= 32
}

// Service names the push service that an endpoint belongs to: one of the allowed hosts, or
// "loopback". The answer is not secret. ErrEndpoint.
func (s *Sender) Service(endpoint string) (string, error) {
	t, err := s.guard.check(endpoint)
	return t.service, err
}
