package streams

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// replyBytes is when a message of answers is full. One answer may exceed it.
const replyBytes = 512 << 10

// Reply hands answers to the Callers that are here, and sends the others, one core NATS message for each
// Caller that waits for some of them (more when they are large). key is the value of Rx-Reply as received;
// a value that is not an inbox under ReplyPrefix and a correlation is ignored. Whoever gets an answer must
// not change what it points to. Nothing is waited for: an answer that is lost is fetched by the same call
// again. The error joins what could not be sent; the rest was.
func Reply(nc *nats.Conn, here *Callers, answers map[string]Answer) error {
	groups := make(map[string]*array)
	var failed []error
	for key, answer := range answers {
		inbox, correlation, ok := parseReply(key)
		if !ok {
			continue
		}
		answer.Correlation = correlation
		if c := here.find(inbox); c != nil {
			c.answer(answer)
			continue
		}
		text, err := json.Marshal(answer)
		if err != nil {
			failed = append(failed, wrap(err, "encode answer"))
			continue
		}
		g := groups[inbox]
		if g == nil {
			g = &array{text: make([]byte, 0, min(len(answers)*(len(text)+32), replyBytes))}
			groups[inbox] = g
		}
		if len(g.text)+len(text) > replyBytes {
			failed = append(failed, g.send(nc, inbox))
		}
		g.add(text)
	}
	for inbox, g := range groups {
		failed = append(failed, g.send(nc, inbox))
	}
	return errors.Join(failed...)
}

// parseReply splits "<inbox> <correlation>". A header comes from outside: it must not make the hub
// publish anywhere but to one of its own inboxes.
func parseReply(value string) (inbox, correlation string, ok bool) {
	inbox, correlation, ok = strings.Cut(value, " ")
	if !ok || correlation == "" || len(value) > 256 || !strings.HasPrefix(inbox, ReplyPrefix) || len(inbox) == len(ReplyPrefix) {
		return "", "", false
	}
	if strings.ContainsAny(value, "*>\r\n\t") || strings.Contains(correlation, " ") ||
		strings.Contains(inbox, "..") || strings.HasSuffix(inbox, ".") {
		return "", "", false
	}
	return inbox, correlation, true
}

// array is a JSON array that grows.
type array struct{ text []byte }

func (a *array) add(element []byte) {
	sep := byte(',')
	if len(a.text) == 0 {
		sep = '['
	}
	a.text = append(append(a.text, sep), element...)
}

func (a *array) send(nc *nats.Conn, subject string) error {
	if len(a.text) == 0 {
		return nil
	}
	err := nc.Publish(subject, append(a.text, ']'))
	a.text = nil // the client library may still hold the old one
	return wrap(err, "send answers")
}
