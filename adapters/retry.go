package adapters

import (
	"errors"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// retryAfter is the advice in err: its own, a second for any other error that a retry can help, else
// nothing.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.RetryAfter() > 0 {
		return e.RetryAfter()
	}
	if fault.KindOf(err) == fault.Unavailable {
		return time.Second
	}
	return 0
}

// seconds is a Retry-After value, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }
