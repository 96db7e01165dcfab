package push

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Title is all that a lock screen shows. It says nothing about health.
const Title = "You have a new message"

// topic and tag make undelivered wakes of one device one notification.
const topic = "inbox"

// notification is the declarative Web Push form: Safari shows it by itself, elsewhere the inbox's
// service worker reads the same JSON.
type notification struct {
	WebPush int    `json:"web_push"`
	ID      string `json:"id"` // what the service worker posts to /push/ack
	Note    struct {
		Title    string `json:"title"`
		Lang     string `json:"lang"`
		Tag      string `json:"tag"`
		Navigate string `json:"navigate"`
	} `json:"notification"`
}

// payload is the same for every patient but for the id, and always of the same length.
func payload(base, id string) []byte {
	n := notification{WebPush: 8030, ID: id}
	n.Note.Title, n.Note.Lang, n.Note.Tag, n.Note.Navigate = Title, "en", topic, base+"/inbox/"
	b, err := json.Marshal(n)
	if err != nil {
		panic(err) // strings and a number always marshal
	}
	return b
}

// padFor is the smallest multiple of 256 bytes in which the payload fits.
func padFor(base string) int {
	n := len(payload(base, base64.RawURLEncoding.EncodeToString(make([]byte, idSize))))
	return n/256*256 + 256
}

// indexer is the deployment's keyed hash; *ledger.Keyring.
type indexer interface {
	Index(org ledger.ID, parts ...string) ledger.Key
}

// wakeIDs makes and reads the ids of pushes. An id is device ‖ unix ms (6 bytes) ‖ random ‖ tag,
// base64url: nobody can invent a receipt, and a receipt needs no table of pushes.
type wakeIDs struct{ keys indexer }

const (
	randomSize = 6
	tagSize    = 8
	idSize     = 16 + 6 + randomSize + tagSize
)

// wakeID is an id, read.
type wakeID struct {
	Device ledger.ID
	Sent   time.Time
	Name   string // hex, unique among the device's pushes
}

var errWakeID = fault.New(fault.Invalid, "push: not an id of a push")

func (w wakeIDs) make(device ledger.ID, now time.Time) string {
	b := make([]byte, 0, idSize)
	b = append(b, device[:]...)
	for shift := 40; shift >= 0; shift -= 8 {
		b = append(b, byte(now.UnixMilli()>>shift))
	}
	b = b[:len(b)+randomSize]
	rand.Read(b[len(b)-randomSize:])
	return base64.RawURLEncoding.EncodeToString(append(b, w.tag(b)...))
}

func (w wakeIDs) parse(s string) (wakeID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != idSize {
		return wakeID{}, errWakeID
	}
	body, tag := b[:idSize-tagSize], b[idSize-tagSize:]
	if !hmac.Equal(tag, w.tag(body)) {
		return wakeID{}, errWakeID
	}
	var ms int64
	for _, c := range body[16:22] {
		ms = ms<<8 | int64(c)
	}
	return wakeID{Device: ledger.ID(body[:16]), Sent: time.UnixMilli(ms), Name: hex.EncodeToString(body[16:])}, nil
}

func (w wakeIDs) tag(body []byte) []byte {
	key := w.keys.Index(ledger.ID{}, "push", hex.EncodeToString(body))
	return key.Hash[:tagSize]
}
