package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// headerKey is the client's own id for a message (PROTOCOL §2).
const headerKey = "Idempotency-Key"

// message is what is published: the received bytes under the sender's id for them.
func (p posted) message(who auth.Subject, r *http.Request, header nats.Header) (streams.Message, error) {
	id, err := p.id(r, header)
	if err != nil {
		return streams.Message{}, err
	}
	if err := carrySignature(header, r); err != nil {
		return streams.Message{}, err
	}
	streams.Inject(r.Context(), header)
	org := who.Org.String()
	return streams.Message{ID: org + "." + plain(id), Subject: streams.IntakeSubject(org, p.doc.Type()), Header: header, Body: p.body}, nil
}

// id is the client's key, else the id inside the message, else the bytes themselves where identities
// inside tell what they are about. CodeNoMessageID when nothing does.
func (p posted) id(r *http.Request, header nats.Header) (string, error) {
	keys := r.Header.Values(headerKey)
	switch {
	case len(keys) > 1:
		return "", fault.Of(fault.CodeMessageID).At("header " + headerKey)
	case len(keys) == 1 && keys[0] != "":
		return keys[0], nil
	case p.read.ID != "":
		return p.read.ID, nil
	case p.bundle == "batch" && p.doc.BundleID() != "": // its entries are read by the recorder
		return p.doc.BundleID(), nil
	case p.bundle != "" || p.identified():
		h := sha256.New()
		h.Write(p.body)
		for _, name := range []string{streams.HeaderMatch, streams.HeaderCollect} { // under another condition it is another message
			if v := header.Get(name); v != "" {
				h.Write([]byte("\x00" + name + "\x00" + v))
			}
		}
		return "~" + hex.EncodeToString(h.Sum(nil)), nil
	}
	return "", fault.Of(fault.CodeNoMessageID)
}

func (p posted) identified() bool {
	for _, q := range p.read.Requests {
		if q.Identity != (fhir.Identifier{}) || q.Local != "" {
			return true
		}
	}
	for _, d := range p.read.Dispenses {
		if d.Identity != (fhir.Identifier{}) || d.Local != "" {
			return true
		}
	}
	return false
}

// plain keeps an id that fits into a NATS header and hashes any other.
func plain(id string) string {
	const most = 200
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(id) <= most && strings.IndexFunc(id, odd) < 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "#" + hex.EncodeToString(sum[:])
}

// maxSignature is the longest signature that is carried, bytes.
const maxSignature = 16 << 10

// carrySignature hands on what the client says is a signature of the body. The recorder judges it; only
// what could not travel or be read in one way is refused here.
func carrySignature(header nats.Header, r *http.Request) error {
	given := r.Header.Values(streams.HeaderSignature)
	if len(given) == 0 {
		return nil
	}
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(given) > 1 || len(given[0]) > maxSignature || given[0] == "" || strings.IndexFunc(given[0], odd) >= 0 {
		return fault.Of(fault.CodeSignatureMalformed).At("header " + streams.HeaderSignature)
	}
	header[streams.HeaderSignature] = given
	return nil
}

// statedClaim is the claim number under which a pharmacy believes to act: Rx-Claim, else If-Match,
// which for a dispense is the same fence (PROTOCOL §4). "" when none is stated. A clinic's If-Match
// would be a condition on a version, which POST does not have.
func statedClaim(r *http.Request, role auth.Role) (string, error) {
	name, claim := streams.HeaderClaim, r.Header.Get(streams.HeaderClaim)
	if match := r.Header.Get("If-Match"); claim == "" && match != "" {
		name = "If-Match"
		if role != auth.Pharmacy {
			return "", fault.Of(fault.CodeNotServed).At("header If-Match")
		}
		claim = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(match, "W/"), `"`), `"`)
	}
	if claim == "" || role != auth.Pharmacy {
		return "", nil
	}
	if n, err := strconv.ParseUint(claim, 10, 63); err != nil || n == 0 {
		return "", fault.Of(fault.CodeValue).At("header " + name)
	}
	return claim, nil
}
