package recorder

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// announcement is one committed effect with the plaintext that its payload is cut from. body is nil
// when the effect has its own Body, or when the record must be opened first.
type announcement struct {
	ledger.Effect
	body    []byte         // nil = not at hand
	leaf    string         // of the entry Index, hex; "" = not at hand
	verdict string         // on the record's signatures
	safety  map[int]string // by item: what its orders were checked by; nil = not at hand
}

// announcements pairs a batch's effects with the bodies and leaves at hand.
func announcements(effects []ledger.Effect, units []*unit) []announcement {
	from, leaves := make(map[ledger.ID]*unit, len(units)), make(map[uint64]string, len(units))
	for _, u := range units {
		if u.result.fate == recorded {
			from[u.result.record.ID] = u
			leaves[u.result.index] = u.result.answer.Leaf
		}
	}
	out := make([]announcement, len(effects))
	for i, e := range effects {
		out[i] = announcement{Effect: e, leaf: leaves[e.Index]}
		if u, ok := from[e.Record]; ok {
			out[i].body, out[i].verdict, out[i].safety = u.body, u.verdict(), u.inputs
		}
	}
	return out
}

// message is the delivery that an effect stands for.
func (a *announcer) message(ctx context.Context, e announcement) (streams.Message, error) {
	payload, verdict, err := a.payload(ctx, &e)
	if err != nil {
		return streams.Message{}, err
	}
	h := make(nats.Header, 12) // with those that go on the wire
	number := strconv.FormatUint(e.Number, 10)
	h.Set(streams.HeaderDelivery, number)
	setCause(h, e.Seq)
	if e.Index != ledger.NoIndex {
		leaf, err := a.leaf(ctx, e)
		if err != nil {
			return streams.Message{}, err
		}
		h.Set(streams.HeaderIndex, strconv.FormatUint(e.Index, 10))
		h.Set(streams.HeaderLeaf, leaf)
	}
	if e.Prescription != (ledger.ID{}) {
		h.Set(streams.HeaderID, e.Prescription.String())
	}
	if e.Claim > 0 {
		h.Set(streams.HeaderClaim, strconv.FormatUint(e.Claim, 10))
	}
	if e.State != "" {
		h.Set(streams.HeaderState, e.State)
	}
	if verdict != "" {
		h.Set(streams.HeaderVerdict, verdict)
	}
	a.checked(h, e)
	subject := e.Record
	if subject == (ledger.ID{}) {
		subject = e.Prescription
	}
	return streams.Message{ID: "d." + number, Subject: streams.DeliverySubject(e.Org.String(), e.Type, subject.String()), Header: h, Body: payload}, nil
}

// setCause names the intake sequence that caused a delivery, if there is one.
func setCause(h nats.Header, seq uint64) {
	if seq > 0 {
		h.Set(streams.HeaderCause, strconv.FormatUint(seq, 10))
	}
}

// instead is what a receiver gets in the place of a delivery that is fenced off: an outcome that says so.
// Restored, it is there over REST under the same number.
func (a *announcer) instead(ctx context.Context, e announcement, err error) streams.Message {
	a.r.log.ErrorContext(ctx, "delivery fenced off", "delivery", e.Number, "kind", fault.KindOf(err).String(), "error", err)
	number := strconv.FormatUint(e.Number, 10)
	h := nats.Header{}
	h.Set(streams.HeaderDelivery, number)
	setCause(h, e.Seq)
	return streams.Message{ID: "d." + number, Subject: streams.DeliverySubject(e.Org.String(), "OperationOutcome", e.Record.String()),
		Header: h, Body: fhir.Outcome([]fhir.Issue{fhir.IssueOf(ledger.ErrDamaged)})}
}

// leaf is the leaf hash of the entry behind an effect, hex: with the index, what its receiver can later
// ask a receipt for.
func (a *announcer) leaf(ctx context.Context, e announcement) (string, error) {
	if e.leaf != "" {
		return e.leaf, nil
	}
	entry, err := a.r.deps.Reader.Entry(ctx, e.Index)
	if err != nil {
		return "", fmt.Errorf("recorder: entry of a delivery: %w", missingOr(err))
	}
	leaf := entry.Leaf()
	return hex.EncodeToString(leaf[:]), nil
}

// payload is the effect's own body, or what the receiver may see of the record, with the verdict on
// its signatures.
func (a *announcer) payload(ctx context.Context, e *announcement) (body []byte, verdict string, err error) {
	switch {
	case e.Body != nil:
		body, err = a.own(ctx, e.Effect)
		return body, "", err
	case e.body == nil:
		if e.body, e.verdict, err = a.opened(ctx, e.Record); err != nil {
			return nil, "", err
		}
	}
	if e.Items == nil {
		return e.body, e.verdict, nil
	}
	body, err = fhir.Slice(e.body, e.Items)
	return body, e.verdict, err
}
