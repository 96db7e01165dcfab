package demo

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// phone is a patient's phone: a browser without JavaScript, and a push endpoint of its own on
// loopback that stands where a push service would and can decrypt what is meant for it.
type phone struct {
	owner  string
	http   *http.Client
	hub    string
	key    *ecdh.PrivateKey
	secret []byte
	server *http.Server
	wakes  chan []byte // decrypted payloads
	pushes string      // endpoint
}

func newPhone(ctx context.Context, owner, hub string) (*phone, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("demo: phone: %w", err)
	}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("demo: phone: %w", err)
	}
	p := &phone{owner: owner, hub: hub, key: key, secret: make([]byte, 16), wakes: make(chan []byte, 16),
		http: &http.Client{Jar: jar, Timeout: 15 * time.Second}}
	rand.Read(p.secret) // never fails
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: phone: %w", err)
	}
	p.pushes = "http://" + l.Addr().String() + "/push/" + base64.RawURLEncoding.EncodeToString(p.secret[:6])
	p.server = &http.Server{Handler: http.HandlerFunc(p.pushed), ReadHeaderTimeout: 5 * time.Second}
	go p.server.Serve(l) // ends with Close
	context.AfterFunc(ctx, func() { p.server.Close() })
	return p, nil
}

// pushed is the push service and the browser's decryption in one (RFC 8030, RFC 8291).
func (p *phone) pushed(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4097))
	if err != nil || len(body) > 4096 || !strings.HasPrefix(r.Header.Get("Authorization"), "vapid ") {
		http.Error(w, "refused", http.StatusBadRequest)
		return
	}
	plain, err := p.decrypt(body)
	if err != nil {
		http.Error(w, "not for me", http.StatusBadRequest)
		return
	}
	select {
	case p.wakes <- plain:
	default: // a phone shows one notification however often it is woken
	}
	w.WriteHeader(http.StatusCreated)
}

// decrypt opens one aes128gcm record (RFC 8188) with the keys of RFC 8291 §3.4.
func (p *phone) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("short")
	}
	salt, sender, sealed := body[:16], body[21:21+int(body[20])], body[21+int(body[20]):]
	peer, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, err
	}
	shared, err := p.key.ECDH(peer)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(p.key.PublicKey().Bytes()) + string(sender)
	ikm, err := hkdf.Key(sha256.New, shared, p.secret, info, 32)
	if err != nil {
		return nil, err
	}
	cek, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	padded, err := aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(padded, "\x00")[:len(bytes.TrimRight(padded, "\x00"))-1], nil // the delimiter 0x02
}

// signIn uses the one-time link as a person would: open it, press the button.
func (p *phone) signIn(ctx context.Context, link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return fmt.Errorf("demo: link: %w", err)
	}
	if a, err := p.get(ctx, u.Path); err != nil || a.status != http.StatusOK {
		return fmt.Errorf("demo: open the link: status %d: %w", a.status, err)
	}
	token := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	a, err := p.form(ctx, "/inbox/s", url.Values{"token": {token}})
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("demo: sign in: status %d: %w", a.status, err)
	}
	return nil
}

func (p *phone) get(ctx context.Context, path string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.hub+path, nil)
	if err != nil {
		return answer{}, fmt.Errorf("demo: phone: %w", err)
	}
	return exchange(p.http, r)
}

func (p *phone) form(ctx context.Context, path string, v url.Values) (answer, error) {
	return p.send(ctx, path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

func (p *phone) send(ctx context.Context, path, contentType string, body io.Reader) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hub+path, body)
	if err != nil {
		return answer{}, fmt.Errorf("demo: phone: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Origin", p.hub)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return exchange(p.http, r)
}

// optIn turns notifications on for this phone.
func (p *phone) optIn(ctx context.Context) error {
	b64 := base64.RawURLEncoding.EncodeToString
	subscription, err := json.Marshal(map[string]any{"endpoint": p.pushes,
		"keys": map[string]string{"p256dh": b64(p.key.PublicKey().Bytes()), "auth": b64(p.secret)}})
	if err != nil {
		return fmt.Errorf("demo: subscription: %w", err)
	}
	a, err := p.send(ctx, "/inbox/devices", "application/json", bytes.NewReader(subscription))
	if err != nil || a.status/100 != 2 {
		return fmt.Errorf("demo: turn notifications on: status %d: %w", a.status, err)
	}
	return nil
}

// woken waits for a push.
func (p *phone) woken(ctx context.Context) ([]byte, error) {
	select {
	case w := <-p.wakes:
		return w, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(15 * time.Second):
		return nil, fmt.Errorf("demo: %s's phone was not woken in 15 s", p.owner)
	}
}

// shows polls the inbox until the page at path shows text.
func (p *phone) shows(ctx context.Context, path string, text ...string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		a, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		found := a.status == http.StatusOK
		page := strings.ReplaceAll(string(a.body), "\u00a0", " ") // quantities do not break
		for _, t := range text {
			found = found && strings.Contains(page, t)
		}
		switch {
		case found:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("demo: %s's inbox does not show %q (status %d)", p.owner, text, a.status)
		}
		time.Sleep(50 * time.Millisecond) // a person looks again
	}
}
