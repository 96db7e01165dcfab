package recorder

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// circumstances is what a decision depended on besides the received bytes and the state before it. It is
// sealed beside the bytes as evidence, so that the ledger alone is enough to decide again
// (docs/ledger-format.md, "Evidence"). What a sender chose is in it: it never leaves the sealed record.
type circumstances struct {
	Version    int             `json:"v"`            // 1
	ID         string          `json:"id,omitempty"` // the message id, as its name has it
	RawID      []byte          `json:"rawId,omitempty"`
	At         int64           `json:"at"` // stream time of the decision, unix ms
	Part       int             `json:"part,omitempty"`
	Sub        int             `json:"sub,omitempty"` // entry of a batch Bundle
	Of         int             `json:"of,omitempty"`  // entries of the batch Bundle; absent = 1
	Fact       string          `json:"fact,omitempty"`
	Claim      uint64          `json:"claim,omitempty"`      // Rx-Claim
	Match      uint64          `json:"match,omitempty"`      // Rx-If-Match
	About      string          `json:"about,omitempty"`      // Rx-Id
	Shown      bool            `json:"shown,omitempty"`      // Rx-Collect: a collect code came along
	Code       string          `json:"code,omitempty"`       // its locator, if it leads to a prescription
	Right      bool            `json:"right,omitempty"`      // and its secret, and it was shown with these bytes
	Directed   []int           `json:"directed,omitempty"`   // orders for which the policy lets the prescriber choose
	RecordOnly []int           `json:"recordOnly,omitempty"` // orders that the policy lets be recorded only
	Safety     *weighed        `json:"safety,omitempty"`     // what came of the safety checks; absent = nothing
	Unread     bool            `json:"unread,omitempty"`     // signatures that nobody asked for
	Issues     []noted         `json:"issues,omitempty"`     // what the validator said
	Print      string          `json:"print,omitempty"`      // fingerprint of the message, where it is not that of the sealed bytes; hex
	Answer     json.RawMessage `json:"answer,omitempty"`     // the answer, where the message changed nothing
}

// noted is a fhir.Issue that refuses nothing.
type noted struct {
	Severity   string `json:"severity"`
	Code       string `json:"code"`
	ID         string `json:"id,omitempty"`
	Text       string `json:"text,omitempty"`
	Expression string `json:"expression,omitempty"`
	Line       int    `json:"line,omitempty"`
	Col        int    `json:"col,omitempty"`
}

// words are what the policy says of the orders of one message, by their position in it.
type words struct{ directed, recordOnly []int }

const circumstancesVersion = 1

// errCircumstances: sealed by a version that did not keep them, or not by us.
var errCircumstances = fault.New(fault.Invalid, "recorder: the record does not say how it was decided")

// circumstances gathers them from a unit that is decided and recorded.
func (u *unit) circumstances() circumstances {
	c := circumstances{Version: circumstancesVersion, At: u.at, Part: u.message.Part, Fact: u.kind,
		Claim: u.claim, Match: u.match, Shown: u.shown, Right: u.right,
		Directed: u.words.directed, RecordOnly: u.words.recordOnly, Unread: u.unread, Safety: u.weighed}
	if utf8.ValidString(u.named) {
		c.ID = u.named
	} else {
		c.RawID = []byte(u.named)
	}
	if u.of > 1 {
		c.Sub, c.Of = u.sub, u.of
	}
	if u.about != (ledger.ID{}) {
		c.About = u.about.String()
	}
	if u.proof.Prescription != (ledger.ID{}) {
		c.Code = u.proof.Locator // what leads to no prescription may be anything
	}
	for _, i := range u.issues[:u.noted] {
		c.Issues = append(c.Issues, noted(i))
	}
	if u.result.instead != nil || u.tied {
		c.Print = hex.EncodeToString(u.print[:])
	}
	if u.result.idle {
		c.Answer, _ = json.Marshal(u.result.answer) // strings and numbers only: cannot fail
	}
	return c
}

// evidenceOf is everything that is sealed beside the bytes of a unit.
func (u *unit) evidenceOf() []byte {
	b := append(make([]byte, 0, 512), `{"message":`...)
	b = u.circumstances().appendTo(b)
	if u.evidence != nil {
		b = append(append(b, `,"signature":`...), u.evidence.Bytes()...)
	}
	return append(b, '}')
}

// appendTo appends c as JSON. Every record is sealed with it, and reflection would take as long as the cipher.
func (c circumstances) appendTo(b []byte) []byte {
	number := func(name string, n int64) {
		if n != 0 {
			b = strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), n, 10)
		}
	}
	value := func(name string, v any, given bool) {
		if given {
			text, _ := json.Marshal(v) // texts and numbers only: cannot fail
			b = append(append(append(append(b, `,"`...), name...), `":`...), text...)
		}
	}
	b = strconv.AppendInt(append(b, `{"v":`...), int64(c.Version), 10)
	b = strconv.AppendInt(append(b, `,"at":`...), c.At, 10)
	value("id", c.ID, c.ID != "")
	value("rawId", c.RawID, c.RawID != nil)
	number("part", int64(c.Part))
	number("sub", int64(c.Sub))
	number("of", int64(c.Of))
	value("fact", c.Fact, c.Fact != "")
	value("claim", c.Claim, c.Claim != 0)
	value("match", c.Match, c.Match != 0)
	value("about", c.About, c.About != "")
	value("shown", true, c.Shown)
	value("code", c.Code, c.Code != "")
	value("right", true, c.Right)
	value("directed", c.Directed, c.Directed != nil)
	value("recordOnly", c.RecordOnly, c.RecordOnly != nil)
	value("safety", c.Safety, c.Safety != nil)
	value("unread", true, c.Unread)
	value("issues", c.Issues, c.Issues != nil)
	value("print", c.Print, c.Print != "")
	value("answer", c.Answer, c.Answer != nil)
	return append(b, '}')
}

// parseCircumstances reads what evidenceOf wrote, and leaves the signature's part alone.
func parseCircumstances(evidence []byte) (c circumstances, err error) {
	var whole struct{ Message, Signature json.RawMessage }
	if json.Unmarshal(evidence, &whole) != nil || whole.Message == nil {
		return c, errCircumstances
	}
	d := json.NewDecoder(bytes.NewReader(whole.Message))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Version != circumstancesVersion || c.Of == 1 || c.Of < 0 {
		return c, errCircumstances
	}
	return c, nil
}

// restore puts the circumstances back into a unit that is to be decided again.
func (c circumstances) restore(u *unit) {
	u.named = c.ID
	if c.RawID != nil {
		u.named = string(c.RawID)
	}
	u.message.Part, u.sub, u.of = c.Part, c.Sub, max(c.Of, 1)
	u.message.Time = time.UnixMilli(c.At)
	u.kind, u.claim, u.match, u.about = c.Fact, c.Claim, c.Match, parseID(c.About)
	u.shown, u.right = c.Shown, c.Right
	u.proof.Locator = c.Code
	u.proof.Prescription, _, _ = collect.ParseLocator(c.Code) // in whatever spelling
	u.words = words{c.Directed, c.RecordOnly}
	u.unread, u.weighed = c.Unread, c.Safety
	for _, i := range c.Issues {
		u.issues = append(u.issues, fhir.Issue(i))
	}
}

// answered is the answer that was kept, and whether there is one.
func (c circumstances) answered() (a streams.Answer, ok bool) {
	return a, c.Answer != nil && json.Unmarshal(c.Answer, &a) == nil
}

// derivedID is the nth id that a decision makes beside the record's own, which alone is random: a UUIDv7
// with the record's time. Whoever decides again comes to the same ids.
func derivedID(record ledger.ID, n uint64) (id ledger.ID) {
	b := make([]byte, 0, 64)
	b = append(append(b, "dosewire/id/v1"...), record[:]...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, n))
	copy(id[:6], record[:6])
	copy(id[6:], sum[:])
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // RFC 9562 variant
	return id
}
