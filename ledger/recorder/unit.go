package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// unit is what is decided and recorded as one: a message, or one entry of a batch Bundle.
type unit struct {
	message *streams.Message
	sub     int    // position in a batch Bundle, else 0
	of      int    // units of the message
	body    []byte // its own received bytes
	kind    string // fact kind, "" for an organisation's message
	sender  ledger.Organization

	doc       *fhir.Document
	examined  fhir.Examination
	known     bool                // examined where it came in
	therapies map[int]readTherapy // of its orders, by item
	checks    map[checkOf]*safety.Check
	completed map[int][]fhir.Issue // what is wanting in its orders, by item
	linked    []ledger.ID          // patients who are the same person, by the person's own word, without its own
	read      fhir.Message
	issues    []fhir.Issue // so far; an error among them refuses the unit
	claim     uint64       // Rx-Claim as stated
	match     uint64       // Rx-If-Match: the version that is amended, 0 = none
	about     ledger.ID    // Rx-Id: the prescription that is amended
	shown     bool         // a collect code came along
	proof     collect.Proof
	right     bool        // the code is one that the hub has given, and was shown with this body
	ifNone    string      // Rx-If-None-Exist: hash of the identifier of a conditional create, hex
	name      ledger.Key  // (org, message id)
	named     string      // the message id in name
	words     words       // the policy's
	weighed   *weighed    // what came of the safety checks; nil = nothing
	at        int64       // stream time of the decision, unix ms
	noted     int         // issues that there were before it
	print     ledger.Hash // fingerprint of body
	tied      bool        // print is also of the conditions under which the body was sent
	reply     string      // Rx-Reply, "" = answered by a delivery
	patient   ledger.PatientKey
	keyed     bool                // patient is set
	made      bool                // and this is the first that is decided about it
	inputs    map[int]string      // by item: what an order was checked by
	evidence  *signature.Evidence // what came of its signatures; nil = not judged
	unread    bool                // there are some, and nobody asks for any
	brief     bool                // refused, and its sender has no room left in quarantine: of the body a digest is kept

	result result
}

// place tells the units of one intake sequence apart: the part of a parcel, and the entry of a batch
// Bundle, of which there are fewer than 2^20 (the limit of nodes).
func (u *unit) place() int { return u.message.Part<<20 | u.sub }

// epoch is that of the message's sequence. What came directly has none: 0 stands for the recorder's own
// count, whose sequences are its terms.
func (u *unit) epoch(of uint64) uint64 {
	if u.message.Direct {
		return 0
	}
	return of
}

// cause is the sequence that a publisher knows from its PubAck, 0 when nothing was published.
func (u *unit) cause() uint64 {
	if u.message.Direct {
		return 0
	}
	return u.message.Seq
}

// maxMessageID bounds what a client may choose as an id, bytes.
const maxMessageID = 256

// hubIDs begins the message id of every fact. No organisation's id begins so.
const hubIDs = "hub."

// prepare does all that needs no state for the arrivals for which it was not done, and returns those: the
// pure part, on every core. A panic in it refuses the unit it happened in and nothing else.
func (r *Recorder) prepare(arrivals []arrival) []*arrival {
	var fresh []*arrival
	for i := range arrivals {
		if arrivals[i].units == nil {
			fresh = append(fresh, &arrivals[i])
		}
	}
	_ = spread(len(fresh), 8, func(i int) error {
		fresh[i].units = r.split(fresh[i].message)
		return nil
	})
	return fresh
}

// split reads one message.
func (r *Recorder) split(m *streams.Message) []*unit {
	whole := &unit{message: m, of: 1, body: m.Body, reply: replyTo(m)}
	if !whole.guard(func() { r.identify(whole) }) || whole.refused() || whole.kind != "" {
		return []*unit{whole}
	}
	if whole.doc.Type() != streams.TypeBundle || whole.bundleType() != "batch" {
		whole.guard(func() {
			if r.examine(whole); !whole.refused() {
				r.checkID(whole)
			}
			r.judge(whole, false)
		})
		return []*unit{whole}
	}
	if whole.shown || whole.ifNone != "" || whole.match != 0 {
		whole.refuse(fault.Of(fault.CodeNotServed).At("header")) // about which entry?
		return []*unit{whole}
	}
	whole.read.ID = whole.doc.BundleID()
	if r.checkID(whole); whole.refused() {
		return []*unit{whole}
	}
	bodies, expressions := fhir.Split(whole.doc)
	if len(bodies) == 0 {
		whole.refuse(fault.Of(fault.CodeNothing).At("Bundle.entry"))
		return []*unit{whole}
	}
	unfit := fhir.Unfit(whole.doc)
	units := make([]*unit, len(bodies))
	for i, body := range bodies {
		u := &unit{message: m, sub: i, of: len(bodies), body: body, sender: whole.sender, claim: whole.claim, reply: whole.reply}
		u.named = whole.id()
		u.name = nameOf(r.deps.Keys, u)
		units[i] = u
		if issue, no := unfit[i]; no {
			u.issues = append(u.issues, issue)
			continue
		}
		u.guard(func() {
			if u.decode() {
				u.print = r.deps.Keys.Fingerprint(body)
				r.examine(u)
				r.judge(u, true)
			}
		})
		for k := range u.issues {
			u.issues[k].Expression = within(expressions[i], u.issues[k].Expression)
		}
	}
	return units
}

// within moves an expression that begins with a resource type below the entry that holds it.
func within(entry, expression string) string {
	_, rest, ok := strings.Cut(expression, ".")
	if !ok {
		return entry
	}
	return entry + "." + rest
}

// guard runs f and turns a panic into a refusal of this unit alone.
func (u *unit) guard(f func()) (ok bool) {
	defer func() {
		if recover() != nil {
			u.refuse(fault.Of(fault.CodePoison))
			ok = false
		}
	}()
	f()
	return true
}

// identify finds the sender and the message's name, and decodes the body.
func (r *Recorder) identify(u *unit) {
	src, ok := streams.ParseIntake(u.message.Subject)
	if !ok {
		u.refuse(fault.Of(fault.CodeFact))
		return
	}
	u.print = r.deps.Keys.Fingerprint(u.body)
	if src.Kind != "" {
		// an answer of the server can be steered to a fact's subject; it carries no such id
		if !strings.HasPrefix(u.message.ID, hubIDs) {
			u.refuse(fault.Of(fault.CodeFact))
			return
		}
		u.kind = src.Kind
		u.named = u.message.ID
		u.name = nameOf(r.deps.Keys, u)
		return
	}
	org, err := uuid.Parse(src.Org)
	if err != nil {
		u.refuse(fault.Of(fault.CodeOrganization))
		return
	}
	u.sender.ID = org
	sender, ok := r.deps.Directory.Organization(org)
	if !ok || sender.Disabled {
		u.refuse(fault.Of(fault.CodeOrganization))
		return
	}
	u.sender = sender
	if u.examined, u.known = r.deps.Examined.Of(u.message.ID, u.body); u.known {
		u.doc = u.examined.Document
	} else if !u.decode() {
		return
	}
	if t := u.doc.Type(); t != src.Type {
		u.refuse(fault.Of(fault.CodeResourceType).At("resourceType"))
		return
	}
	u.claim, u.match = number(u.message, streams.HeaderClaim), number(u.message, streams.HeaderMatch)
	u.about = parseID(u.message.Header.Get(streams.HeaderID))
	u.conditions(r.deps.Keys)
	u.named = u.id()
	u.name = nameOf(r.deps.Keys, u)
}

// number is what a header states; 0 when it is absent or malformed.
func number(m *streams.Message, header string) uint64 {
	n, err := strconv.ParseUint(m.Header.Get(header), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (u *unit) decode() bool {
	doc, err := fhir.Decode(u.body)
	if err != nil {
		u.refuse(err)
		return false
	}
	u.doc = doc
	return true
}

// examine validates the unit and picks its fields.
func (r *Recorder) examine(u *unit) {
	if u.refused() {
		return
	}
	if !u.known {
		u.examined = fhir.Examine(u.doc, r.config.Validate)
	}
	u.read = u.examined.Message
	u.issues = append(append(u.issues, u.examined.Issues...), u.read.Issues...)
	u.knowsPatient()
	for _, q := range u.read.Requests {
		if kind, _ := requestKind(q.Status); kind == rx.Issue {
			u.therapy(q.Item) // here on every core; who needs it meets the error again
			u.complete(q)     // the same; a panic refuses the unit
		}
	}
}

// complete judges whether an order of u can be dispensed, once.
func (u *unit) complete(q fhir.Request) []fhir.Issue {
	if issues, ok := u.completed[q.Item]; ok {
		return issues
	}
	if u.completed == nil {
		u.completed = map[int][]fhir.Issue{}
	}
	u.completed[q.Item] = fhir.Complete(u.doc, q)
	return u.completed[q.Item]
}

// checkID judges the message id that the sender chose.
func (r *Recorder) checkID(u *unit) {
	switch id := u.message.ID; {
	case id == "" && u.id() == "":
		u.refuse(fault.Of(fault.CodeNoMessageID))
	case id != "" && (len(id) > maxMessageID || !strings.HasPrefix(id, u.sender.ID.String()+".")):
		u.refuse(fault.Of(fault.CodeMessageID))
	default:
		u.named = u.id()
		u.name = nameOf(r.deps.Keys, u)
	}
}

// nameOf is the key under which a unit is remembered: its sender's message id, and the place of an
// entry of a batch Bundle.
func nameOf(k *ledger.Keyring, u *unit) ledger.Key {
	if u.of > 1 {
		return k.Index(u.sender.ID, "msg", u.named, strconv.Itoa(u.sub))
	}
	return k.Index(u.sender.ID, "msg", u.named)
}

// id is what identifies the message for its sender: its Nats-Msg-Id, else what the Bundle says, else
// the bytes themselves when a business identity inside can tell repeats apart.
func (u *unit) id() string {
	if id, ok := strings.CutPrefix(u.message.ID, u.sender.ID.String()+"."); ok {
		return id
	}
	if u.message.ID != "" {
		return u.message.ID
	}
	if u.read.ID != "" {
		return u.read.ID
	}
	if u.bundleType() == "" && !u.identified() {
		return ""
	}
	sum := sha256.Sum256(u.conditional())
	return "~" + hex.EncodeToString(sum[:])
}

// identified reports whether a bare resource has a business identity.
func (u *unit) identified() bool {
	for _, q := range u.read.Requests {
		if q.Identity != (fhir.Identifier{}) || q.Local != "" {
			return true
		}
	}
	for _, d := range u.read.Dispenses {
		if d.Identity != (fhir.Identifier{}) || d.Local != "" {
			return true
		}
	}
	return false
}

func (u *unit) bundleType() string {
	if u.read.BundleType != "" || u.doc == nil {
		return u.read.BundleType
	}
	return u.doc.BundleType()
}

func (u *unit) refuse(err error) { u.issues = append(u.issues, fhir.IssueOf(err)) }

func (u *unit) refused() bool {
	_, yes := fhir.Refused(u.issues)
	return yes
}

// resourceType is what the record row says the body is.
func (u *unit) resourceType() string {
	if u.kind != "" {
		return ledger.TypeFact
	}
	return u.doc.Type()
}

// replyTo is where a hub process waits for the answer. Anybody may set the header, but only the hub
// can listen under ReplyPrefix, so a forged one reaches nobody.
func replyTo(m *streams.Message) string {
	if v := m.Header.Get(streams.HeaderReply); strings.HasPrefix(v, streams.ReplyPrefix) {
		return v
	}
	return ""
}
