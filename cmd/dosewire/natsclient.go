package main

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/streams"
)

// natsClient is an organisation's connection, as any stock client would make it.
type natsClient struct {
	admin.Credential
	nc *nats.Conn
	js jetstream.JetStream
}

func dialNATS(c admin.Credential) (*natsClient, error) {
	nc, err := nats.Connect(c.NATS, nats.Name("dosewire"), nats.UserInfo(c.User, c.Token),
		nats.CustomInboxPrefix("_INBOX_"+c.Org), nats.MaxReconnects(-1))
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fault.New(fault.Denied, "the broker does not know this credential")
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the broker does not answer").Wrap(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fault.New(fault.Internal, "jetstream").Wrap(err)
	}
	return &natsClient{c, nc, js}, nil
}

func (c *natsClient) close() { c.nc.Close() }

type natsSender struct{ *natsClient }

func newNATSSender(_ context.Context, c admin.Credential) (sender, error) {
	client, err := dialNATS(c)
	if err != nil {
		return nil, err
	}
	return natsSender{client}, nil
}

// send publishes; the PubAck says only that the hub has it. A duplicate within the stream's window
// is no answer: the window passes while we wait.
func (s natsSender) send(ctx context.Context, m item) (result, error) {
	if m.kind == "" {
		return result{}, fault.New(fault.Invalid, "no resourceType: over NATS it is part of the subject")
	}
	msg := &nats.Msg{Subject: streams.IntakeSubject(s.Org, m.kind), Data: m.body, Header: nats.Header{}}
	if m.signature != "" {
		msg.Header.Set(streams.HeaderSignature, m.signature)
	}
	ack, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(s.Org+"."+m.id))
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return result{}, fault.Of(fault.CodeTooLarge)
	case err != nil:
		return result{}, fault.New(fault.Unavailable, "the broker did not store it (or this subject is not allowed)").Wrap(err)
	case ack.Duplicate:
		return result{}, fault.New(fault.Unavailable, "the broker has seen this id a moment ago")
	}
	return result{Source: m.source, Status: 202, Seq: ack.Sequence}, nil
}
