package adapters

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// Refuse answers err as an OperationOutcome with the status of its code. What err wraps stays inside;
// an Internal or Tampered one shows only the id under which the log has it.
func Refuse(w http.ResponseWriter, err error) {
	issue := fhir.IssueOf(err)
	if o, ok := observed(w); ok {
		o.err = err
		if unexplained(err) {
			issue.Text += " Correlation id: " + o.correlation
		}
	}
	RefuseAll(w, fault.Status(err), []fhir.Issue{issue}, retryAfter(err))
}

// RefuseAll answers issues as one OperationOutcome. after is what Retry-After says, rounded up to
// seconds; 0 leaves it out.
func RefuseAll(w http.ResponseWriter, status int, issues []fhir.Issue, after time.Duration) {
	h := w.Header()
	h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="dosewire"`)
	}
	if after > 0 {
		h.Set("Retry-After", seconds(after))
	}
	w.WriteHeader(status)
	_, _ = w.Write(fhir.Outcome(issues)) // a client that went away
}

// unexplained reports whether only an operator can do something about err.
func unexplained(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Internal || kind == fault.Tampered
}

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
