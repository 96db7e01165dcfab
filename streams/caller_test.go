package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

func newCaller(t testing.TB, h *hub) *streams.Caller {
	t.Helper()
	return newCallerAt(t, h, nil)
}

func newCallerAt(t testing.TB, h *hub, here *streams.Callers) *streams.Caller {
	t.Helper()
	c, err := streams.NewCaller(h.nc, h.publisher(t), here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // closing twice is allowed
	return c
}

// answering stands for the recorder: it reads RX_INTAKE and answers each message with its sequence.
func answering(t testing.TB, h *hub) {
	t.Helper()
	nc := h.connect(t)
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	wg.Go(func() {
		for ctx.Err() == nil {
			batch, err := r.Batch(ctx, 1000, 8<<20, time.Second)
			if err != nil {
				return
			}
			answers := map[string]streams.Answer{}
			for _, m := range batch {
				answers[m.Header.Get(streams.HeaderReply)] = streams.Answer{Status: 201, Record: m.ID}
			}
			if err := streams.Reply(nc, nil, answers); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() { stop(); wg.Wait(); r.Close() })
}

func TestCall(t *testing.T) {
	h := startHub(t)
	answering(t, h)
	one, two := newCaller(t, h), newCaller(t, h)
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			caller := one
			if i%2 == 0 {
				caller = two
			}
			id := fmt.Sprintf("org.%d", i)
			got, err := caller.Call(t.Context(), intake(id, []byte("{}")), 20*time.Second)
			if err != nil || got.Status != 201 || got.Record != id {
				t.Errorf("%s: got %+v, %v", id, got, err)
			}
		})
	}
	wg.Wait()
}

func TestCallWithoutAnswer(t *testing.T) {
	h := startHub(t)
	c := newCaller(t, h)
	_, err := c.Call(t.Context(), intake("org.1", nil), 300*time.Millisecond)
	if fault.CodeOf(err) != fault.CodePending {
		t.Errorf("stored and not answered: got %v, want CodePending", err)
	}
	if got := h.state(t, streams.Intake).Msgs; got != 1 {
		t.Errorf("stored %d messages, want 1", got)
	}
	// The same call, once the recorder answers, gets the answer.
	answering(t, h)
	if got, err := c.Call(t.Context(), intake("org.1", nil), 10*time.Second); err != nil || got.Record != "org.1" {
		t.Errorf("the same call: got %+v, %v", got, err)
	}
}

func TestCallEnds(t *testing.T) {
	h := startHub(t)
	c := newCaller(t, h)
	ends := map[string]func(context.CancelFunc){
		"context": func(cancel context.CancelFunc) { cancel() },
		"close":   func(context.CancelFunc) { _ = c.Close() },
	}
	for _, name := range []string{"context", "close"} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := c.Call(ctx, intake("org."+name, nil), time.Minute)
			ended <- err
		}()
		waitFor(t, func() bool { return h.state(t, streams.Intake).LastSeq > 0 && len(ended) == 0 })
		time.AfterFunc(200*time.Millisecond, func() { ends[name](cancel) })
		if err := <-ended; fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: got %v, want Unavailable", name, err)
		}
		cancel()
	}
}

// Replies go to inboxes of the hub, and nowhere else.
func TestParseReply(t *testing.T) {
	good := streams.ReplyPrefix + "call.ABC 7"
	if inbox, correlation, ok := streams.ParseReply(good); !ok || inbox != streams.ReplyPrefix+"call.ABC" || correlation != "7" {
		t.Errorf("%q was refused", good)
	}
	for _, bad := range []string{"", "x", "_INBOX.other.a 1", streams.ReplyPrefix + " 1", streams.ReplyPrefix + "a", streams.ReplyPrefix + "a ",
		streams.ReplyPrefix + "> 1", streams.ReplyPrefix + "a.* 1", streams.ReplyPrefix + "a 1 2", streams.ReplyPrefix + "a..b 1", streams.ReplyPrefix + "a. 1",
		"rx.fact.x 1", streams.ReplyPrefix + "a\r\nPUB 1", streams.ReplyPrefix + strings.Repeat("a", 300) + " 1"} {
		if _, _, ok := streams.ParseReply(bad); ok {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// A thousand refusals with many issues do not fit into one message.
func TestReplySplitsLargeAnswers(t *testing.T) {
	h := startHub(t)
	sub, err := h.nc.SubscribeSync(streams.ReplyPrefix + "test")
	if err != nil {
		t.Fatal(err)
	}
	issues, err := json.Marshal([]string{strings.Repeat("x", 10_000)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	answers := map[string]streams.Answer{"rx.fact.evil 1": {Status: 500}}
	for i := range n {
		answers[fmt.Sprintf("%stest %d", streams.ReplyPrefix, i)] = streams.Answer{Status: 422, Issues: issues}
	}
	if err := streams.Reply(h.nc, nil, answers); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < n; {
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatalf("after %d of %d: %v", got, n, err)
		}
		var part []streams.Answer
		if err := json.Unmarshal(m.Data, &part); err != nil {
			t.Fatal(err)
		}
		got += len(part)
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond) // a poll of a real server; bounded
	}
	t.Fatal("waited in vain")
}

// A Caller of the same process is answered without the server, one of another process through it.
func TestReplyHere(t *testing.T) {
	h := startHub(t)
	reader, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var here streams.Callers
	near, far := newCallerAt(t, h, &here), newCaller(t, h)

	type outcome struct {
		answer streams.Answer
		err    error
	}
	call := func(c *streams.Caller, id string) <-chan outcome {
		done := make(chan outcome, 1)
		go func() {
			a, err := c.Call(t.Context(), streams.Message{ID: id, Subject: streams.FactSubject("test"), Body: []byte("x")}, 20*time.Second)
			done <- outcome{a, err}
		}()
		return done
	}
	atNear, atFar := call(near, "hub.near"), call(far, "hub.far")
	answers := map[string]streams.Answer{}
	for len(answers) < 2 {
		batch, err := reader.Batch(t.Context(), 10, 1<<20, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range batch {
			answers[m.Header.Get(streams.HeaderReply)] = streams.Answer{Status: 201, Record: m.ID}
		}
	}
	gone := h.connect(t)
	gone.Close()
	if err := streams.Reply(gone, &here, answers); err == nil {
		t.Error("an answer for another process was sent without a connection")
	}
	if o := <-atNear; o.err != nil || o.answer.Record != "hub.near" || o.answer.Correlation != "" {
		t.Errorf("near: %+v, %v", o.answer, o.err)
	}
	if err := streams.Reply(h.connect(t), &here, answers); err != nil {
		t.Fatal(err)
	}
	if o := <-atFar; o.err != nil || o.answer.Record != "hub.far" {
		t.Errorf("far: %+v, %v", o.answer, o.err)
	}
}
