package webpush

import (
	"net/http"
	"strconv"
	"time"
)

// Verdict is what to do after an attempt. The zero value is Retry: what nobody understood is tried
// again.
type Verdict uint8

const (
	Retry  Verdict = iota // the message: later, no sooner than Outcome.After
	Sent                  // the push service has taken it
	Dead                  // the subscription has ended: forget it
	Config                // our credentials or our request are refused: alarm, and drop nothing
)

func (v Verdict) String() string {
	return [...]string{"retry", "sent", "dead", "config"}[min(v, Config)]
}

// Outcome is how one attempt ended.
type Outcome struct {
	Verdict Verdict
	After   time.Duration // Retry: what the push service asked for, at most a day; 0 = nothing
	Status  int           // HTTP status; 0 = no answer
	Service string        // allowed host it went to; "" = refused before
}

const longestRetry = 24 * time.Hour

// Judge maps an answer to its outcome (RFC 8030 §5, §7.3, §8.4; RFC 8292 §4.2). Only 404 and 410 end
// a subscription. A 4xx that is not listed, and a redirect, is our own mistake until shown otherwise.
func Judge(status int, header http.Header, now time.Time) Outcome {
	switch {
	case status >= 200 && status < 300:
		return Outcome{Verdict: Sent, Status: status}
	case status == http.StatusNotFound, status == http.StatusGone:
		return Outcome{Verdict: Dead, Status: status}
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return Outcome{Verdict: Retry, Status: status, After: retryAfter(header.Get("Retry-After"), now)}
	default:
		return Outcome{Verdict: Config, Status: status}
	}
}

// retryAfter reads seconds or an HTTP date (RFC 9110 §10.2.3). Anything else is 0.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetry)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), longestRetry)
	}
	return 0
}
