package streams_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// reading opens a Reader of RX_INTAKE that takes what is brought here.
func reading(t *testing.T, h *hub, here *streams.Callers) *streams.Reader {
	t.Helper()
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	here.Serve(r)
	return r
}

// calling calls in the background.
func calling(t *testing.T, c *streams.Caller, m streams.Message) <-chan streams.Answer {
	t.Helper()
	answered := make(chan streams.Answer, 1)
	go func() {
		defer close(answered)
		a, err := c.Call(t.Context(), m, 20*time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		answered <- a
	}()
	return answered
}

// next is the next message of the Reader.
func next(t *testing.T, r *streams.Reader) streams.Message {
	t.Helper()
	batch, err := r.Batch(t.Context(), 1, 1<<20, 10*time.Second)
	if err != nil || len(batch) != 1 {
		t.Fatalf("%d messages, %v", len(batch), err)
	}
	return batch[0]
}

// What an organisation posts goes to a Reader of the same process and not into the stream; what the hub itself
// says, and what is published, goes through the stream.
func TestCallDirectly(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	r := reading(t, h, &here)
	c := newCallerAt(t, h, &here)

	began := time.Now()
	answered := calling(t, c, intake("org.1", []byte("body")))
	m := next(t, r)
	if !m.Direct || m.ID != "org.1" || string(m.Body) != "body" || m.Seq != 0 || !m.Ends() || m.Time.Before(began) || m.Time.After(time.Now()) {
		t.Errorf("%+v", m)
	}
	if got := h.state(t, streams.Intake).LastSeq; got != 0 {
		t.Errorf("RX_INTAKE has %d messages", got)
	}
	if err := streams.Reply(h.nc, &here, map[string]streams.Answer{m.Header.Get(streams.HeaderReply): {Status: 201}}); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.Status != 201 {
		t.Errorf("answer %+v", a)
	}

	fact := calling(t, c, streams.Message{ID: "hub.1", Subject: streams.FactSubject("test"), Body: []byte("x")})
	if m := next(t, r); m.Direct || m.Seq != 1 {
		t.Errorf("a fact: %+v", m)
	} else if err := streams.Reply(h.nc, &here, map[string]streams.Answer{m.Header.Get(streams.HeaderReply): {Status: 200}}); err != nil {
		t.Fatal(err)
	}
	<-fact
	if err := h.publisher(t).Publish(t.Context(), intake("org.2", nil)); err != nil {
		t.Fatal(err)
	}
	if m := next(t, r); m.Direct || m.Seq != 2 {
		t.Errorf("published: %+v", m)
	}
}

// A Reader that ends without an answer may have dealt with a message or not: it is stored, and the next one
// answers.
func TestCallOutlivesItsReader(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	r := reading(t, h, &here)
	c := newCallerAt(t, h, &here)
	taken, waiting := calling(t, c, intake("org.taken", nil)), (<-chan streams.Answer)(nil)
	if m := next(t, r); !m.Direct {
		t.Fatalf("%+v", m)
	}
	waiting = calling(t, c, intake("org.waiting", nil))
	waitFor(t, func() bool { return r.Ready() == 1 })
	r.Close()
	waitFor(t, func() bool { return h.state(t, streams.Intake).LastSeq >= 1 }) // both, perhaps as one parcel
	answering(t, h)
	for id, answered := range map[string]<-chan streams.Answer{"org.taken": taken, "org.waiting": waiting, "org.later": calling(t, c, intake("org.later", nil))} {
		if a := <-answered; a.Status != 201 || a.Record != id {
			t.Errorf("%s: %+v", id, a)
		}
	}
}

// What finds no room in the Reader goes into the stream, and nothing is left out.
func TestOfferIsBounded(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	r := reading(t, h, &here)
	c := newCallerAt(t, h, &here)
	const n, size = 40, 200_000 // twice what a Reader holds
	var answers []<-chan streams.Answer
	for i := range n {
		answers = append(answers, calling(t, c, intake(fmt.Sprintf("org.%d", i), make([]byte, size))))
	}
	waitFor(t, func() bool { return h.state(t, streams.Intake).LastSeq > 0 })
	direct, seen := 0, map[string]bool{}
	for len(seen) < n {
		m := next(t, r)
		if m.Direct {
			direct++
		}
		seen[m.ID] = true
		if err := streams.Reply(h.nc, &here, map[string]streams.Answer{m.Header.Get(streams.HeaderReply): {Status: 201}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, answered := range answers {
		<-answered
	}
	if stored := int(h.state(t, streams.Intake).LastSeq); direct == 0 || stored == 0 || direct+stored != n {
		t.Errorf("%d came directly, %d through the stream, of %d", direct, stored, n)
	}
}

// A closed Caller is not kept.
func TestCallersForget(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	c := newCallerAt(t, h, &here)
	if here.Len() != 1 {
		t.Fatalf("%d known, want 1", here.Len())
	}
	if err := c.Close(); err != nil || here.Len() != 0 {
		t.Errorf("%d known after Close, %v", here.Len(), err)
	}
}

// Messages that are offered without end do not keep out a large one of the stream.
func TestOfferLeavesTheStreamItsTurn(t *testing.T) {
	h := startHub(t)
	r := reading(t, h, new(streams.Callers))
	direct := intake("org.direct", make([]byte, 200_000))
	fill := func() {
		for taken := true; taken; {
			_, taken = r.Offer(direct)
		}
	}
	fill()
	if err := h.publisher(t).Publish(t.Context(), intake("org.stored", make([]byte, 1_000_000))); err != nil {
		t.Fatal(err)
	}
	for i := 0; next(t, r).Direct; i++ {
		if i == 200 {
			t.Fatal("it waits for ever")
		}
		fill()
		time.Sleep(time.Millisecond) // the stream's message is on its way
	}
}

// What is offered and what the stream has do not fill each other's room while there is little of both.
func TestOfferBesideTheStream(t *testing.T) {
	h := startHub(t)
	r := reading(t, h, new(streams.Callers))
	for i := range 10 {
		if _, taken := r.Offer(intake("org.direct", make([]byte, 100_000))); !taken {
			t.Fatalf("offer %d was not taken", i)
		}
	}
	if err := h.publisher(t).Publish(t.Context(), intake("org.stored", make([]byte, 100_000))); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.Ready() == 11 })
	if _, taken := r.Offer(intake("org.direct", make([]byte, 100_000))); !taken {
		t.Error("nothing is taken behind one message of the stream")
	}
}

// What a Reader took and did not answer may be recorded: when it cannot be stored either, nobody is told that
// nothing was accepted.
func TestCallThatWasTakenIsPending(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	r := reading(t, h, &here)
	c := newCallerAt(t, h, &here)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Call(t.Context(), intake("org.1", nil), 3*time.Second)
		failed <- err
	}()
	next(t, r)
	if err := h.js.DeleteStream(t.Context(), streams.Intake); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-failed; fault.CodeOf(err) != fault.CodePending {
		t.Errorf("%v, want %s", err, fault.CodePending)
	}
}

// What the stream could not hold is refused before anybody takes it.
func TestCallTooLarge(t *testing.T) {
	h := startHub(t)
	var here streams.Callers
	r := reading(t, h, &here)
	_, err := newCallerAt(t, h, &here).Call(t.Context(), intake("org.1", make([]byte, streams.MaxPayload)), time.Second)
	if fault.CodeOf(err) != fault.CodeTooLarge || r.Ready() != 0 {
		t.Errorf("%v with %d taken, want %s", err, r.Ready(), fault.CodeTooLarge)
	}
}

// A Reader that has a backlog to read takes nothing: what the stream has had for long would be decided behind
// it, and by its time.
func TestOfferWaitsForTheBacklog(t *testing.T) {
	h := startHub(t)
	const n = 40
	fill(t, h, n, 200_000) // more than what a Reader holds
	time.Sleep(1200 * time.Millisecond)
	r := reading(t, h, new(streams.Callers))
	for i := range n {
		_, taken := r.Offer(intake("org.direct", nil))
		if taken && i < n/2-1 { // then the rest may be here
			t.Fatalf("taken behind %d of %d", i, n)
		}
		for next(t, r).Direct {
		}
	}
	if _, taken := r.Offer(intake("org.direct", nil)); !taken {
		t.Error("not taken when all was read")
	}
}
