package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// Sizes of one pull.
const (
	pullCount = 20  // with --ack
	peekCount = 200 // without: the most that the hub gives
)

// restSource pulls GET /fhir/$deliveries. after=N tells the hub that everything up to N was taken
// over, so without ack the place is never moved and what was seen is skipped.
type restSource struct {
	rest
	after uint64 // taken over so far
	sent  uint64 // what the hub knows of it
	given bool   // after may be said
	ack   bool
	page  []delivery
	seen  uint64 // last number given out
}

func newRESTSource(c admin.Credential, f *receiveFlags) *restSource {
	return &restSource{rest: newREST(c), after: f.after, given: f.after > 0, ack: f.ack, seen: f.after}
}

// close tells the hub what was taken over since the last pull.
func (s *restSource) close() {
	if s.after > s.sent && s.given {
		_, _ = s.pull(context.Background(), 1, "0s") // else it comes again, under the same number
	}
	s.client.CloseIdleConnections()
}

func (s *restSource) next(ctx context.Context) (delivery, error) {
	for {
		for len(s.page) > 0 {
			d := s.page[0]
			s.page = s.page[1:]
			if d.Number <= s.seen {
				continue
			}
			s.seen = d.Number
			d.acked = func() error { s.after, s.given = d.Number, true; return nil }
			return d, nil
		}
		if err := s.fill(ctx); err != nil {
			return delivery{}, err
		}
	}
}

var errPeekFull = fault.New(fault.Conflict, "200 deliveries are not acknowledged: go on with --ack")

// fill waits for the next page.
func (s *restSource) fill(ctx context.Context) (err error) {
	count, wait := pullCount, "20s"
	if !s.ack {
		count = peekCount
		if s.seen > s.after {
			wait = "0s" // there is something, seen already: the hub would answer at once
		}
	}
	if s.page, err = s.pull(ctx, count, wait); err != nil {
		return err
	}
	if n := len(s.page); n == peekCount && s.page[n-1].Number <= s.seen {
		return errPeekFull
	}
	if s.ack || len(s.page) == 0 || s.page[len(s.page)-1].Number > s.seen {
		return nil
	}
	return pause(ctx)
}

func (s *restSource) pull(ctx context.Context, count int, wait string) ([]delivery, error) {
	q := url.Values{"_count": {strconv.Itoa(count)}, "wait": {wait}}
	if s.given {
		q.Set("after", strconv.FormatUint(s.after, 10))
	}
	sent := s.after
	resp, body, err := s.do(ctx, http.MethodGet, "/fhir/$deliveries?"+q.Encode(), http.Header{}, nil)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fault.New(fault.Denied, "the hub does not know this credential")
	case resp.StatusCode != http.StatusOK:
		return nil, errNoAnswer.Wrap(fmt.Errorf("%s, %v", resp.Status, remarks(body)))
	}
	s.sent = sent
	return parseDeliveries(body)
}

// parseDeliveries reads a Bundle of deliveries; each resource stays byte for byte.
func parseDeliveries(body []byte) (all []delivery, err error) {
	var bundle struct {
		Entry []struct {
			Resource  json.RawMessage
			Extension []struct {
				Extension []struct{ URL, ValueString string }
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&bundle); err != nil {
		return nil, fault.New(fault.Internal, "the hub's answer is not a Bundle").Wrap(err)
	}
	for _, e := range bundle.Entry {
		d := delivery{Body: e.Resource, bytes: e.Resource}
		for _, outer := range e.Extension {
			for _, x := range outer.Extension {
				if err := d.set(x.URL, x.ValueString); err != nil {
					return nil, err
				}
			}
		}
		var seen struct{ ResourceType string }
		_ = json.Unmarshal(e.Resource, &seen) // an erased record has none
		d.Type = seen.ResourceType
		all = append(all, d)
	}
	return all, nil
}

// set puts one part of the delivery extension in place.
func (d *delivery) set(name, value string) (err error) {
	switch name {
	case "number":
		if d.Number, err = strconv.ParseUint(value, 10, 64); err != nil {
			return fault.New(fault.Internal, "a delivery without a number").Wrap(err)
		}
	case "cause":
		d.Cause = value
	case "index":
		d.Index = value
	case "prescription":
		d.Rx = value
	case "claim":
		d.Claim = value
	case "state":
		d.State = value
	case "signature":
		d.Signed = value
	}
	return nil
}

// pause keeps a peek from asking without end.
func pause(ctx context.Context) error {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
