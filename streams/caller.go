package streams

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
)

// Caller brings messages to the recorder and waits for its answer: through RX_INTAKE, or at once to a
// recorder of the same process that takes them so. Safe for concurrent use.
type Caller struct {
	publisher *Publisher
	here      *Callers
	inbox     string
	sub       *nats.Subscription
	closed    chan struct{}
	closing   sync.Once

	mu      sync.Mutex // guards what follows
	last    uint64
	waiting map[string]*call
}

// call is one caller waiting. answer is set before done is closed.
type call struct {
	answer Answer
	done   chan struct{}
}

// NewCaller subscribes the hub's reply inbox on nc, and makes the Caller known here (nil: nowhere). The name
// of the inbox is a secret of 128 bits: whoever knew it could answer in the recorder's place.
func NewCaller(nc *nats.Conn, p *Publisher, here *Callers) (*Caller, error) {
	c := &Caller{publisher: p, here: here, inbox: ReplyPrefix + "call." + rand.Text(), closed: make(chan struct{}), waiting: make(map[string]*call)}
	sub, err := nc.Subscribe(c.inbox, c.arrived)
	if err != nil {
		return nil, wrap(err, "listen for answers")
	}
	c.sub = sub
	// The recorder on another connection must not answer before the server knows of the inbox.
	if err := nc.FlushTimeout(ackWait); err != nil {
		return nil, wrap(err, "listen for answers")
	}
	here.add(c)
	return c, nil
}

// Call publishes m with Rx-Reply and the trace context of ctx set, and waits. It returns as soon as
// the answer is there, also when it overtakes the PubAck. A message of an organisation goes to a reader here
// instead, if there is one that takes it; should that one end before it has answered, the message is
// published after all. Nobody may change m afterwards.
//
// Errors: those of Publish when m could not be stored within wait; CodePending when it is stored, or taken,
// and the answer is late, ctx ended or the Caller was closed. After either, the same call fetches the
// answer: the recorder repeats its first decision, or makes it.
func (c *Caller) Call(ctx context.Context, m Message, wait time.Duration) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	waiting, correlation := c.register()
	defer c.forget(correlation)

	header := make(nats.Header, len(m.Header)+2)
	maps.Copy(header, m.Header)
	header[HeaderReply] = []string{c.inbox + " " + correlation}
	Inject(ctx, header)
	m.Header = header
	gone, taken := c.here.offer(m)
	if taken {
		if a, err := c.wait(ctx, waiting, gone); !errors.Is(err, errGone) {
			return a, err
		}
	}
	switch err := c.publisher.publish(ctx, m, waiting.done); {
	case err != nil && taken:
		return Answer{}, fault.Of(fault.CodePending).Wrap(err) // it may have been recorded by then
	case err != nil:
		return Answer{}, err
	}
	return c.wait(ctx, waiting, nil)
}

// errGone: the reader that took a message ended without an answer.
var errGone = errors.New("streams: reader is gone")

func (c *Caller) wait(ctx context.Context, waiting *call, gone <-chan struct{}) (Answer, error) {
	select {
	case <-waiting.done:
		return waiting.answer, nil
	case <-ctx.Done():
		return Answer{}, fault.Of(fault.CodePending).Wrap(context.Cause(ctx))
	case <-gone:
		return Answer{}, errGone
	case <-c.closed:
		return Answer{}, fault.Of(fault.CodePending).Wrap(ErrClosed)
	}
}

// Close ends the subscription; waiting calls return CodePending. It may be called twice.
func (c *Caller) Close() error {
	var err error
	c.closing.Do(func() {
		close(c.closed)
		c.here.remove(c)
		err = wrap(c.sub.Unsubscribe(), "close caller")
	})
	return err
}

func (c *Caller) register() (*call, string) {
	w := &call{done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	correlation := strconv.FormatUint(c.last, 36)
	c.waiting[correlation] = w
	return w, correlation
}

func (c *Caller) forget(correlation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, correlation)
}

// arrived hands out the answers of one message. Those that nobody waits for are late, and dropped:
// the same call will fetch them.
func (c *Caller) arrived(m *nats.Msg) {
	var answers []Answer
	if json.Unmarshal(m.Data, &answers) != nil {
		return
	}
	for _, a := range answers {
		c.answer(a)
	}
}

// answer ends the call that waits for a.
func (c *Caller) answer(a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.waiting[a.Correlation]
	if !ok {
		return
	}
	delete(c.waiting, a.Correlation) // a second answer must not close the channel again
	w.answer = a
	w.answer.Correlation = ""
	close(w.done)
}
