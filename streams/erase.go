package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// ForgetSubject is the core NATS subject (no stream) that says: drop what is cached of the patient
// whose id is the payload (16 bytes). Only the hub may use it.
const ForgetSubject = "hub.forget"

// EraseSubject removes every message whose subject matches (wildcards allowed) and overwrites its bytes
// on disk. Nothing there is no error.
func EraseSubject(ctx context.Context, js jetstream.JetStream, stream, subject string) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return wrap(err, "erase in %s", stream)
	}
	for seq := uint64(1); ; seq++ {
		m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return wrap(err, "erase in %s", stream)
		}
		seq = m.Sequence
		if err := EraseMessage(ctx, js, stream, seq); err != nil {
			return err
		}
	}
}

// EraseMessage removes one message and overwrites its bytes on disk. One that is gone is no error.
func EraseMessage(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return wrap(err, "erase in %s", stream)
	}
	if _, err := s.GetMsg(ctx, seq); errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	err = s.SecureDeleteMsg(ctx, seq)
	if _, gone := s.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil // somebody was faster
	}
	return wrap(err, "erase in %s", stream)
}
