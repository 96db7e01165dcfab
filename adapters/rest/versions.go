package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// known is a prescription as far as the caller may know it.
type known struct {
	row   ledger.Prescription
	state rx.State
	trail rx.Trail // all of it
	seen  rx.Trail // the steps that the caller may know
}

// known returns a prescription that the caller may read, RX_NOT_FOUND otherwise. Its clinic knows every
// version; a pharmacy those since it was sent it, without what another pharmacy did meanwhile, and how it
// stands now.
func (s *Service) known(ctx context.Context, who auth.Subject, id ledger.ID) (known, error) {
	p, err := s.visible(ctx, who, id)
	if err != nil {
		return known{}, err
	}
	return knownTo(who, p)
}

func knownTo(who auth.Subject, p ledger.Prescription) (known, error) {
	var kept rx.Kept
	if err := json.Unmarshal(p.State, &kept); err != nil {
		return known{}, fault.New(fault.Tampered, "rest: stored state").Wrap(err)
	}
	k := known{row: p, state: kept.State, trail: kept.Trail, seen: kept.Trail}
	if p.Clinic == who.Org || len(k.trail) == 0 {
		return k, nil
	}
	k.seen = k.trail.Seen(who.Org.String())
	if _, ok := k.seen.Of(p.Version); !ok {
		if now, ok := k.trail.Of(p.Version); ok {
			k.seen = append(k.seen, now)
		}
	}
	return k, nil
}

// at is a version that the caller may know, RX_NOT_FOUND otherwise.
func (s *Service) at(ctx context.Context, k known, version int) (located, error) {
	step, ok := k.seen.Of(version)
	said, told := k.trail.Said(version)
	switch {
	case ok && told:
		l := located{item: itemOf(said.Record), id: k.row.ID.String(), version: version, state: step.Status}
		var err error
		if l.record, err = recordOf(said.Record); err != nil {
			return located{}, err
		}
		l.made, err = recordOf(step.Record)
		return l, err
	case len(k.trail) > 0 && len(k.seen) < len(k.trail):
		return located{}, fault.Of(fault.CodeNotFound)
	}
	return s.untold(ctx, k, version)
}

// untold is a version that the trail does not reach back to. Most versions are changes of state that
// brought no new text. What came together with other prescriptions has no record of its own: then the text
// is that in force.
func (s *Service) untold(ctx context.Context, k known, version int) (located, error) {
	l := located{record: k.row.Record, item: itemOf(k.state.Record), id: k.row.ID.String(), version: version}
	if version == k.row.Version {
		l.state = k.row.Status
	}
	records, err := s.deps.Records.Versions(ctx, k.row.ID)
	if err != nil {
		return located{}, unknown(err)
	}
	records = slices.DeleteFunc(records, func(r ledger.Record) bool { return r.Type == "fact" })
	if record, ok := inForce(records, version); ok {
		l.record, l.item = record.ID, only(streams.TypeMedicationRequest)
	}
	return l, nil
}

// recordOf is the record of a reference ("<record>#<entry>").
func recordOf(reference string) (ledger.ID, error) {
	text, _, _ := strings.Cut(reference, "#")
	id, err := uuid.Parse(text)
	if err != nil {
		return id, fault.New(fault.Tampered, "rest: stored reference").Wrap(err)
	}
	return id, nil
}

// History serves GET MedicationRequest/{id}/_history: the versions that the caller may know, newest first,
// as a history Bundle, with one access row. _count bounds a page, _before continues one.
func (s *Service) History() http.Handler {
	return paged(s.history)
}

func (s *Service) history(r *http.Request) (body []byte, give func(), err error) {
	ctx := r.Context()
	who, err := subject(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := parameters(r, "_count", "_before"); err != nil {
		return nil, nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return nil, nil, err
	}
	k, err := s.known(ctx, who, id)
	if err != nil {
		return nil, nil, err
	}
	count, before, err := historyPage(r, k.row.Version)
	if err != nil {
		return nil, nil, err
	}
	page, more, err := s.versions(ctx, k, count, before)
	if err != nil {
		return nil, nil, err
	}
	// no page is larger, and few are near it
	room := s.bodies.of(who.Org)
	if err := room.take(ctx, pageBytes*min(int64(len(page)), 1)); err != nil {
		return nil, nil, err
	}
	if body, err = s.historyBundle(ctx, who, k, page, count, before, more); err != nil {
		room.give()
		return nil, nil, err
	}
	return body, room.give, nil
}

// historyPage reads how many versions are wanted, and before which.
func historyPage(r *http.Request, newest int) (count, before int, err error) {
	if count, err = countOf(r); err != nil {
		return 0, 0, err
	}
	before = newest + 1
	if q := r.URL.Query(); q.Has("_before") {
		if before, err = strconv.Atoi(q.Get("_before")); err != nil || before < 1 {
			return 0, 0, fault.Of(fault.CodeValue).At("query _before")
		}
	}
	return count, before, nil
}

// versions are those of a page, newest first. A page ends early when it gets too large; one version always
// fits. more reports whether older ones follow.
func (s *Service) versions(ctx context.Context, k known, count, before int) (page []located, more bool, err error) {
	size, sizes := 0, map[ledger.ID]int{}
	for version := min(before-1, k.row.Version); version >= 1; version-- {
		l, err := s.at(ctx, k, version)
		if fault.CodeOf(err) == fault.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		n, measured := sizes[l.record]
		if !measured {
			record, err := s.deps.Records.Record(ctx, l.record)
			if err != nil {
				return nil, false, unknown(err)
			}
			n = len(record.Sealed)
			sizes[l.record] = n
			size += n // opened
		}
		if size += n; len(page) > 0 && (len(page) == count || size > pageBytes) {
			return page, true, nil
		}
		page = append(page, l)
	}
	return page, false, nil
}

// historyBundle opens the versions and writes them. Each entry says what made it and when.
func (s *Service) historyBundle(ctx context.Context, who auth.Subject, k known, page []located, count, before int, more bool) ([]byte, error) {
	var records []ledger.ID
	for _, l := range page {
		if !slices.Contains(records, l.record) {
			records = append(records, l.record)
		}
	}
	plains, err := s.deps.Records.ReadAll(ctx, reader(who, "read"), records)
	if err != nil {
		return nil, unknown(err)
	}
	base := s.deps.BaseURL + "/fhir/MedicationRequest/" + k.row.ID.String()
	self := base + "/_history?_count=" + strconv.Itoa(count)
	c := collection{kind: "history"}
	if before > k.row.Version && !more {
		total := len(page)
		c.total = &total
	}
	for _, l := range page {
		plain := plains[slices.Index(records, l.record)].Body
		raw, err := fhir.Item(plain, l.item(plain))
		if err != nil {
			return nil, fault.New(fault.Tampered, "rest: the record holds no such item").Wrap(err)
		}
		body, err := splice(found{raw: raw, id: l.id, version: l.version, at: l.at(), state: l.state})
		if err != nil {
			return nil, err
		}
		c.entries = append(c.entries, versionEntry(base, l, body))
	}
	here := self
	if before <= k.row.Version {
		here += "&_before=" + strconv.Itoa(before)
	}
	c.links = []link{{"self", here}}
	if more {
		c.links = append(c.links, link{"next", self + "&_before=" + strconv.Itoa(page[len(page)-1].version)})
	}
	return c.bundle()
}

// versionEntry is a version with the interaction that would have made it.
func versionEntry(base string, l located, body []byte) member {
	m := member{fullURL: base, resource: body,
		request:  &request{"PUT", "MedicationRequest/" + l.id},
		response: &response{Status: "200", Etag: etag(l.version), LastModified: l.at().UTC().Format(instant)}}
	if l.version == 1 {
		m.request, m.response.Status = &request{"POST", "MedicationRequest"}, "201"
	}
	return m
}

const (
	countUsual = 50
	countMost  = 200
)

// countOf reads _count.
func countOf(r *http.Request) (int, error) {
	q := r.URL.Query()
	if !q.Has("_count") {
		return countUsual, nil
	}
	n, err := strconv.Atoi(q.Get("_count"))
	if err != nil || n < 1 {
		return 0, fault.Of(fault.CodeValue).At("query _count")
	}
	return min(n, countMost), nil
}

// timeOf is a stored time, zero for 0.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
