package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/streams"
)

// Credential is what `dosewire org add` prints: enough for any stock client.
type Credential struct {
	URL   string // of the hub, without trailing slash
	NATS  string
	Kind  string
	Name  string
	Org   string
	User  string // client id
	Token string
}

// member is one organisation's software: a FHIR REST client and a NATS client.
type member struct {
	Credential
	name  string
	http  *http.Client
	nc    *nats.Conn
	js    jetstream.JetStream
	inbox <-chan delivery // of its durable consumer; nil for clinics that pull by REST
	after uint64          // REST cursor
}

// delivery is one message received from the hub, acknowledged.
type delivery struct {
	subject string
	header  nats.Header
	body    []byte
}

func (d delivery) rx() string { return d.header.Get(streams.HeaderID) }

// join connects an organisation over NATS and starts following its durable consumer.
func join(ctx context.Context, name string, c Credential) (*member, error) {
	m := &member{Credential: c, name: name, http: &http.Client{Timeout: 15 * time.Second}}
	nc, err := nats.Connect(c.NATS, nats.UserInfo(c.User, c.Token), nats.CustomInboxPrefix("_INBOX_"+c.Org), nats.Name(name))
	if err != nil {
		return nil, fmt.Errorf("demo: %s: connect: %w", name, err)
	}
	m.nc = nc
	if m.js, err = jetstream.New(nc); err != nil {
		return nil, fmt.Errorf("demo: %s: jetstream: %w", name, err)
	}
	consumer, err := m.js.Consumer(ctx, streams.Delivery, streams.ConsumerName(c.Org))
	if err != nil {
		return nil, fmt.Errorf("demo: %s: durable consumer: %w", name, err)
	}
	inbox := make(chan delivery, 64)
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		select {
		case inbox <- delivery{msg.Subject(), msg.Headers(), msg.Data()}:
			_ = msg.Ack() // lost acks mean one more delivery with the same id
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %s: consume: %w", name, err)
	}
	context.AfterFunc(ctx, func() { consuming.Stop(); nc.Close() })
	m.inbox = inbox
	return m, nil
}

// answer is an HTTP answer, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) index() string { return a.header.Get(streams.HeaderIndex) }
func (a answer) rx() string    { return a.header.Get(streams.HeaderID) }

// codes are the dosewire codes in an OperationOutcome.
func (a answer) codes() []string {
	var outcome struct {
		Issue []struct {
			Details struct{ Coding []struct{ Code string } }
		}
	}
	if json.Unmarshal(a.body, &outcome) != nil {
		return nil
	}
	var codes []string
	for _, issue := range outcome.Issue {
		for _, c := range issue.Details.Coding {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

// post sends a resource. key may be "".
func (m *member) post(ctx context.Context, path, key string, body []byte) (answer, error) {
	header := http.Header{"Content-Type": {"application/fhir+json"}}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	return m.do(ctx, http.MethodPost, path, header, body)
}

func (m *member) get(ctx context.Context, path string) (answer, error) {
	return m.do(ctx, http.MethodGet, path, http.Header{}, nil)
}

func (m *member) do(ctx context.Context, method, path string, header http.Header, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, m.URL+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("demo: %s: %w", m.name, err)
	}
	r.Header = header
	r.Header.Set("Authorization", "Bearer "+m.Token)
	return exchange(m.http, r)
}

func exchange(c *http.Client, r *http.Request) (answer, error) {
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("demo: %s: %w", r.Method, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return answer{}, fmt.Errorf("demo: read answer: %w", err)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// publish sends a resource over NATS. The PubAck says only that the hub has it; the outcome comes as
// a delivery whose Rx-Cause is the sequence returned here.
func (m *member) publish(ctx context.Context, resourceType, id string, body []byte) (string, error) {
	ack, err := m.js.Publish(ctx, streams.IntakeSubject(m.Org, resourceType), body, jetstream.WithMsgID(m.Org+"."+id))
	if err != nil {
		return "", fmt.Errorf("demo: %s: publish: %w", m.name, err)
	}
	return strconv.FormatUint(ack.Sequence, 10), nil
}

// receive waits for the next delivery that fits, keeping nothing else: in this play every delivery
// is expected in order, so a stranger is an error.
func (m *member) receive(ctx context.Context, fits func(delivery) bool) (delivery, error) {
	timeout := time.NewTimer(15 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case d := <-m.inbox:
			if fits(d) {
				return d, nil
			}
		case <-timeout.C:
			return delivery{}, fmt.Errorf("demo: %s received nothing that fits in 15 s", m.name)
		case <-ctx.Done():
			return delivery{}, ctx.Err()
		}
	}
}
