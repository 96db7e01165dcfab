package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

const (
	deliveriesMost = 200
	waitMost       = 30 * time.Second
	lookEvery      = 200 * time.Millisecond
)

// extensionDelivery is the extension of an entry that carries what NATS carries in headers.
const extensionDelivery = "https://dosewire.example/fhir/StructureDefinition/delivery"

// pull is a parsed GET $deliveries.
type pull struct {
	after uint64
	given bool
	count int
	wait  time.Duration
}

func parsePull(q url.Values) (p pull, err error) {
	p.count = 50
	bad := func(name string) error { return fault.Of(fault.CodeValue).At(name) }
	for name, values := range q {
		v := values[0]
		switch name {
		case "after":
			p.given = true
			if p.after, err = strconv.ParseUint(v, 10, 63); err != nil {
				return p, bad(name)
			}
		case "_count":
			if p.count, err = strconv.Atoi(v); err != nil || p.count < 1 {
				return p, bad(name)
			}
			p.count = min(p.count, deliveriesMost)
		case "wait":
			if p.wait, err = time.ParseDuration(v); err != nil || p.wait < 0 {
				return p, bad(name)
			}
			p.wait = min(p.wait, waitMost)
		case "_format":
		default:
			return p, fault.Of(fault.CodeUnknown).At(strconv.Quote(plain(name)))
		}
	}
	return p, nil
}

// Deliveries serves GET $deliveries?after=N&_count=M&wait=D: what the hub has for the caller after
// number N, oldest first, waiting up to D while there is nothing. after=N also says that everything
// up to N was taken over.
func (s *Service) Deliveries() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := s.deliveries(r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		write(w, body)
	})
}

func (s *Service) deliveries(r *http.Request) ([]byte, error) {
	ctx := r.Context()
	who, err := subject(ctx)
	if err != nil {
		return nil, err
	}
	p, err := parsePull(r.URL.Query())
	if err != nil {
		return nil, err
	}
	head, err := s.deps.Records.Head(ctx)
	if err != nil {
		return nil, err
	}
	if p.after > head.Deliveries {
		return nil, fault.Of(fault.CodeValue).At("after")
	}
	if p.given {
		if err := s.deps.Records.SetAcknowledged(ctx, map[ledger.ID]uint64{who.Org: p.after}); err != nil {
			return nil, err
		}
	}
	effects, err := s.await(ctx, who, p)
	if err != nil {
		return nil, err
	}
	bodies, err := s.open(ctx, who, effects)
	if err != nil {
		return nil, err
	}
	return s.bundle(p, effects, bodies)
}

// await looks until there is something or the wait is over.
func (s *Service) await(ctx context.Context, who auth.Subject, p pull) ([]ledger.Effect, error) {
	until := time.Now().Add(p.wait)
	for {
		effects, err := s.deps.Records.Effects(ctx, who.Org, p.after, p.count)
		if err != nil || len(effects) > 0 || !time.Now().Before(until) {
			return effects, err
		}
		t := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, fault.Of(fault.CodeUnavailable).Wrap(ctx.Err())
		case <-t.C:
		}
	}
}

// open makes the payload of every delivery, with one access row for all records that it opens. What
// was erased since is nil.
func (s *Service) open(ctx context.Context, who auth.Subject, effects []ledger.Effect) ([][]byte, error) {
	var ids []ledger.ID
	at := map[ledger.ID]int{}
	for _, e := range effects {
		if _, seen := at[e.Record]; e.Body == nil && !seen {
			if _, err := s.deps.Records.Record(ctx, e.Record); fault.CodeOf(err) == fault.CodeErased {
				continue
			}
			at[e.Record] = len(ids)
			ids = append(ids, e.Record)
		}
	}
	plains, err := s.deps.Records.ReadAll(ctx, reader(who, "deliver"), ids)
	if err != nil {
		return nil, err
	}
	bodies := make([][]byte, len(effects))
	for i, e := range effects {
		n, opened := at[e.Record]
		switch {
		case e.Body != nil:
			bodies[i] = e.Body
		case !opened:
		case e.Items == nil:
			bodies[i] = plains[n].Body
		default:
			if bodies[i], err = fhir.Slice(plains[n].Body, e.Items); err != nil {
				return nil, fmt.Errorf("rest: slice: %w", err)
			}
		}
	}
	return bodies, nil
}

type extension struct {
	URL         string      `json:"url"`
	ValueString string      `json:"valueString,omitempty"`
	Extension   []extension `json:"extension,omitempty"`
}

type link struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

// bundle is written by hand around the payloads, which stay byte for byte.
func (s *Service) bundle(p pull, effects []ledger.Effect, bodies [][]byte) ([]byte, error) {
	next := p.after
	size := 512
	for i, e := range effects {
		next = e.Number
		size += len(bodies[i]) + 1024
	}
	at := func(n uint64) string {
		return s.deps.BaseURL + "/fhir/$deliveries?after=" + strconv.FormatUint(n, 10) + "&_count=" + strconv.Itoa(p.count)
	}
	links, err := json.Marshal([]link{{"self", at(p.after)}, {"next", at(next)}})
	if err != nil {
		return nil, fmt.Errorf("rest: deliveries: %w", err)
	}
	b := make([]byte, 0, size)
	b = append(b, `{"resourceType":"Bundle","type":"collection","link":`...)
	b = append(b, links...)
	for i, e := range effects {
		if i == 0 {
			b = append(b, `,"entry":[`...)
		} else {
			b = append(b, ',')
		}
		head, err := json.Marshal(headers(e))
		if err != nil {
			return nil, fmt.Errorf("rest: deliveries: %w", err)
		}
		b = append(b, `{"extension":[`...)
		b = append(b, head...)
		b = append(b, ']')
		if bodies[i] != nil {
			b = append(b, `,"resource":`...)
			b = append(b, bodies[i]...)
		}
		b = append(b, '}')
	}
	if len(effects) > 0 {
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// headers is what NATS carries beside a delivery.
func headers(e ledger.Effect) extension {
	x := extension{URL: extensionDelivery}
	add := func(name, value string) { x.Extension = append(x.Extension, extension{URL: name, ValueString: value}) }
	add("number", strconv.FormatUint(e.Number, 10))
	add("cause", strconv.FormatUint(e.Seq, 10))
	if e.Index != ledger.NoIndex {
		add("index", strconv.FormatUint(e.Index, 10))
	}
	if e.Prescription != (ledger.ID{}) {
		add("prescription", e.Prescription.String())
	}
	if e.Claim > 0 {
		add("claim", strconv.FormatUint(e.Claim, 10))
	}
	if e.State != "" {
		add("state", e.State)
	}
	return x
}
