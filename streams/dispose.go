package streams

import (
	"errors"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// parkAfter is how many deliveries an unclassified failure gets before the message is parked: it may
// have been the moment, but not five times.
const parkAfter = 5

// Dispose says what a consumer does with a message after its handler returned err. delivered is how
// often the message was delivered, from 1. The delay has meaning for fault.Retry alone: it grows with
// delivered, and is never shorter than the error's own RetryAfter.
func Dispose(err error, delivered uint64) (fault.Disposition, time.Duration) {
	if err == nil {
		return fault.Ack, 0
	}
	row := fault.KindOf(err).Row()
	d := row.Disposition
	if d == fault.Park && row.Retry && delivered < parkAfter {
		d = fault.Retry
	}
	if d != fault.Retry {
		return d, 0
	}
	delay := backOff(delivered)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		delay = max(delay, e.RetryAfter())
	}
	return fault.Retry, delay
}

func backOff(delivered uint64) time.Duration {
	steps := [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	return steps[min(max(delivered, 1), uint64(len(steps)))-1]
}
