package streams_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// numbered are the deliveries from first to last, for one organisation.
func numbered(org string, first, last int) []streams.Message {
	var out []streams.Message
	for i := first; i <= last; i++ {
		n := strconv.Itoa(i)
		out = append(out, streams.Message{ID: "d." + n, Subject: streams.DeliverySubject(org, streams.TypeBundle, "r"+n),
			Header: nats.Header{streams.HeaderDelivery: {n}}, Body: []byte(n)})
	}
	return out
}

func newDeliveryPublisher(t testing.TB, h *hub) *streams.DeliveryPublisher {
	t.Helper()
	p, err := streams.NewDeliveryPublisher(t.Context(), h.js, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDeliveriesKeepTheirOrder(t *testing.T) {
	h := startHub(t)
	p := newDeliveryPublisher(t, h)
	next := 1
	for _, n := range []int{1, 3, 15, 16, 400, 2, 1500} { // alone, pipelined, batched, several batches
		if _, err := p.Publish(t.Context(), numbered("org", next, next+n-1)); err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		next += n
	}
	if got, want := p.LastSequence(), uint64(next-1); got != want {
		t.Errorf("last sequence %d, want %d", got, want)
	}
	if err := streams.EnsureConsumer(t.Context(), h.js, "org"); err != nil {
		t.Fatal(err)
	}
	for i, m := range pull(t, h, "org", 200) {
		if got := m.Headers().Get(streams.HeaderDelivery); got != strconv.Itoa(i+1) {
			t.Fatalf("position %d holds delivery %s", i+1, got)
		}
	}
}

// After a crash the last second is announced again: what is there stays one message, the rest follows.
func TestDeliveriesAgain(t *testing.T) {
	h := startHub(t)
	if _, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("org", 1, 40)); err != nil {
		t.Fatal(err)
	}
	for _, last := range []int{45, 100, 100} { // a pipeline with repeats, a batch with repeats, nothing new
		before := h.state(t, streams.Delivery).LastSeq
		stored, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("org", 30, last))
		if err != nil {
			t.Fatalf("again up to %d: %v", last, err)
		}
		if got := h.state(t, streams.Delivery).LastSeq; got != uint64(last) || stored != last-int(before) {
			t.Errorf("stream ends at %d, want %d; said to have stored %d of them", got, last, stored)
		}
	}
}

func TestDeposed(t *testing.T) {
	h := startHub(t)
	for _, n := range []int{1, 8, 300} {
		old := newDeliveryPublisher(t, h)
		first := int(old.LastSequence()) + 1
		if _, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("org", first, first)); err != nil {
			t.Fatal(err)
		}
		before := h.state(t, streams.Delivery).LastSeq
		if _, err := old.Publish(t.Context(), numbered("org", 100_000+first, 100_000+first+n-1)); !errors.Is(err, streams.ErrDeposed) {
			t.Errorf("%d messages: got %v, want ErrDeposed", n, err)
		}
		if after := h.state(t, streams.Delivery).LastSeq; after != before {
			t.Errorf("%d messages of the deposed were stored", after-before)
		}
	}
}

// Who announces behind an end that was learned anew asks first whether it still leads: paused beyond its
// lease, it would otherwise go on behind what its successor has announced.
func TestDeposedBeforeItGoesOn(t *testing.T) {
	h := startHub(t)
	leading := true
	p, err := streams.NewDeliveryPublisher(t.Context(), h.js, func(context.Context) error {
		if !leading {
			return streams.ErrDeposed
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Publish(cut, numbered("org", 1, 1)); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %v, want Unavailable", err)
	}
	leading = false
	before := h.state(t, streams.Delivery).LastSeq
	for range 2 {
		if _, err := p.Publish(t.Context(), numbered("org", 2, 12)); !errors.Is(err, streams.ErrDeposed) {
			t.Errorf("got %v, want ErrDeposed", err)
		}
	}
	if after := h.state(t, streams.Delivery).LastSeq; after > before+1 { // the first may have arrived late
		t.Errorf("%d messages of the deposed were stored", after-before)
	}
	if _, err := streams.NewDeliveryPublisher(t.Context(), h.js, func(context.Context) error { return streams.ErrDeposed }); !errors.Is(err, streams.ErrDeposed) {
		t.Errorf("a new one: got %v, want ErrDeposed", err)
	}
}

// A publish whose outcome is unknown can be made again.
func TestDeliveriesAfterUnknownOutcome(t *testing.T) {
	for _, few := range []int{3, 10} { // a pipeline, an atomic batch
		h := startHub(t)
		p := newDeliveryPublisher(t, h)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		messages := numbered("org", 1, 30)
		if _, err := p.Publish(ctx, messages[:few]); fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("%d: got %v, want Unavailable", few, err)
		}
		if _, err := p.Publish(t.Context(), messages); err != nil {
			t.Fatalf("%d: %v", few, err)
		}
		if got := h.state(t, streams.Delivery).Msgs; got != 30 {
			t.Errorf("%d: stored %d, want 30", few, got)
		}
	}
}

// TestDeliveryHeader: what is sent again carries nothing of how it was sent before.
func TestDeliveryHeader(t *testing.T) {
	m := numbered("org", 7, 7)[0]
	m.Header = nats.Header{"Rx-State": {"ready"}, "Nats-Msg-Id": {"other"}, "Nats-Batch-Id": {"b"}, "Nats-Batch-Sequence": {"3"}, "Nats-Batch-Commit": {"1"},
		"Nats-Expected-Last-Sequence": {"6"}, "Nats-Expected-Last-Msg-Id": {"d.6"}}
	if got, want := streams.EncodeDelivery(&m).Header, (nats.Header{"Rx-State": {"ready"}, "Nats-Msg-Id": {m.ID}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAcknowledgedUpTo(t *testing.T) {
	h := startHub(t)
	upTo := func(org string) uint64 {
		t.Helper()
		n, err := streams.AcknowledgedUpTo(t.Context(), h.js, org, 9)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, err := streams.AcknowledgedUpTo(t.Context(), h.js, "a", 9); fault.KindOf(err) != fault.NotFound {
		t.Errorf("without a consumer: got %v, want NotFound", err)
	}
	p := newDeliveryPublisher(t, h)
	messages := append(numbered("a", 1, 3), numbered("b", 4, 6)...) // kept although nobody listens yet
	if _, err := p.Publish(t.Context(), append(messages, numbered("a", 7, 9)...)); err != nil {
		t.Fatal(err)
	}
	for _, org := range []string{"a", "b", "c"} {
		if err := streams.EnsureConsumer(t.Context(), h.js, org); err != nil {
			t.Fatal(err)
		}
	}
	if got := upTo("a"); got != 0 {
		t.Errorf("a has acknowledged nothing: got %d", got)
	}
	if got := upTo("b"); got != 3 {
		t.Errorf("b has acknowledged nothing, its first is 4: got %d", got)
	}
	if got := upTo("c"); got != 9 {
		t.Errorf("nothing was for c: got %d", got)
	}
	all := pull(t, h, "a", 6)
	for _, m := range []jetstream.Msg{all[0], all[1], all[3]} { // 1, 2 and, out of order, 7
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := upTo("a"); got != 2 {
		t.Errorf("a has acknowledged 1, 2 and 7: got %d, want 2", got)
	}
	for _, m := range []jetstream.Msg{all[2], all[4], all[5]} {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := upTo("a"); got != 9 {
		t.Errorf("a has acknowledged everything: got %d, want 9", got)
	}
	if got := h.state(t, streams.Delivery).Msgs; got != 3 {
		t.Errorf("%d messages are left, want b's 3", got)
	}
}

// pull fetches n deliveries without acknowledging them.
func pull(t testing.TB, h *hub, org string, n int) []jetstream.Msg {
	t.Helper()
	c, err := h.js.Consumer(t.Context(), streams.Delivery, streams.ConsumerName(org))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(n, jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var all []jetstream.Msg
	for m := range batch.Messages() {
		all = append(all, m)
	}
	if len(all) != n {
		t.Fatalf("fetched %d of %d: %v", len(all), n, batch.Error())
	}
	return all
}
