package streams

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
)

// Errors of this room, beside those of the catalogue.
var (
	// ErrEpoch: the stream belongs to another generation than the ledger's head. Stop: its sequences
	// mean something else.
	ErrEpoch = fault.New(fault.Tampered, "streams: RX_INTAKE is of another epoch")
	// ErrSettings: a stream's settings, read back from the server, are not those that were asked for.
	ErrSettings = fault.New(fault.Internal, "streams: stream settings differ")
	// ErrDeposed: another recorder has announced since. Give up the term.
	ErrDeposed = fault.New(fault.Conflict, "streams: another recorder announces")
	// ErrOrder: a reader was given a sequence out of order. Stop: the server broke its promise.
	ErrOrder = fault.New(fault.Tampered, "streams: sequence out of order")
	// ErrClosed: the Reader or Caller was closed.
	ErrClosed = fault.New(fault.Unavailable, "streams: closed")
)

// JetStream error codes (nats-server errors.json) on which this package decides.
const (
	codeAccountFull     jetstream.ErrorCode = 10002
	codeInsufficient    jetstream.ErrorCode = 10023
	codeMemoryFull      jetstream.ErrorCode = 10028
	codeStorageFull     jetstream.ErrorCode = 10047
	codeTooLarge        jetstream.ErrorCode = 10054
	codeWrongLastID     jetstream.ErrorCode = 10070
	codeWrongLast       jetstream.ErrorCode = 10071
	codeStoreFailed     jetstream.ErrorCode = 10077
	codeHeaderTooLarge  jetstream.ErrorCode = 10097
	codeWrongLastConst  jetstream.ErrorCode = 10164
	codeRollupOff       jetstream.ErrorCode = 10111
	codeTooManyRequests jetstream.ErrorCode = 10167
)

// classify gives an error of the client library or the server its fault.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.Of(fault.CodeTooLarge).Wrap(err)
	case ok:
		return classifyAPI(api)
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrMsgNotFound):
		return fault.New(fault.NotFound, "streams: not found").Wrap(err)
	}
	return fault.Of(fault.CodeUnavailable).Wrap(err)
}

func classifyAPI(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case codeTooLarge, codeHeaderTooLarge:
		return fault.Of(fault.CodeTooLarge).Wrap(e)
	case codeWrongLast, codeWrongLastConst, codeWrongLastID:
		return ErrDeposed
	case codeAccountFull, codeInsufficient, codeMemoryFull, codeStorageFull, codeTooManyRequests:
		return fault.Of(fault.CodeBusy).Wrap(e)
	case codeStoreFailed:
		// DiscardNew says "maximum bytes exceeded" under the code of a failed write.
		if strings.Contains(e.Description, "maximum") {
			return fault.Of(fault.CodeBusy).Wrap(e)
		}
		return fault.Of(fault.CodeUnavailable).Wrap(e)
	}
	switch {
	case e.ErrorCode == codeRollupOff: // under status 500, but no retry will help
		return fault.New(fault.Internal, "streams: request refused").Wrap(e)
	case e.Code == 404:
		return fault.New(fault.NotFound, "streams: not found").Wrap(e)
	case e.Code >= 400 && e.Code < 500:
		return fault.New(fault.Internal, "streams: request refused").Wrap(e)
	}
	return fault.Of(fault.CodeUnavailable).Wrap(e)
}

// wrap names the operation. The description of a JetStream error is the server's own text.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("streams: "+format+": %w", append(args, classify(err))...)
}
