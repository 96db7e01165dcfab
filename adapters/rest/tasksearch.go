package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// namedMost bounds how many ids a search may name; looksMost how many prescriptions a page looks at.
const (
	namedMost = 200
	looksMost = 2000
)

// SearchTasks serves GET Task: what the caller may read, newest first, as a searchset. Parameters are focus,
// _id, status, owner and _lastUpdated (values with commas are alternatives), _count, and _before in the
// link to the next page. Any other is refused.
func (s *Service) SearchTasks() http.Handler {
	return paged(s.searchTasks)
}

func (s *Service) searchTasks(r *http.Request) (body []byte, give func(), err error) {
	ctx := r.Context()
	who, err := subject(ctx)
	if err != nil {
		return nil, nil, err
	}
	q, err := s.taskQuery(r)
	if err != nil {
		return nil, nil, err
	}
	page, next, err := s.find(ctx, who, q)
	if err != nil {
		return nil, nil, err
	}
	room := s.bodies.of(who.Org)
	if err := room.take(ctx, pageBytes*min(int64(len(page)), 1)); err != nil {
		return nil, nil, err
	}
	if body, err = s.searchset(ctx, who, q, page, next); err != nil {
		room.give()
		return nil, nil, err
	}
	return body, room.give, nil
}

// taskQuery is a parsed search. Empty lists do not restrict.
type taskQuery struct {
	given    url.Values  // as understood, for links
	named    []ledger.ID // of focus and _id
	byName   bool        // named restricts, even to nothing
	statuses []string
	owners   []ledger.ID
	owned    bool // owners restricts
	updated  []span
	count    int
	before   ledger.ID
}

func (s *Service) taskQuery(r *http.Request) (q taskQuery, err error) {
	bare := *r.URL
	values := bare.Query()
	updated := values["_lastUpdated"] // the one that may be repeated: from and to
	values.Del("_lastUpdated")
	bare.RawQuery = values.Encode()
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return q, fault.Of(fault.CodeValue).At("query")
	}
	if err := parameters(&http.Request{URL: &bare}, "focus", "_id", "status", "owner", "_count", "_before"); err != nil {
		return q, err
	}
	q.given = url.Values{}
	if q.count, err = countOf(r); err != nil {
		return q, err
	}
	if values.Has("_before") {
		if q.before, err = uuid.Parse(values.Get("_before")); err != nil {
			return q, fault.Of(fault.CodeValue).At("query _before")
		}
	}
	for _, value := range updated {
		within, err := parseSpan(value)
		if err != nil {
			return q, err
		}
		q.updated = append(q.updated, within)
		q.given.Add("_lastUpdated", value)
	}
	if err := q.names(values, s.deps.BaseURL); err != nil {
		return q, err
	}
	return q, q.words(values)
}

// names reads the parameters that name things. An id that cannot be one of ours finds nothing, as one does
// that the caller may not know.
func (q *taskQuery) names(values url.Values, base string) error {
	for _, p := range []struct{ name, kind string }{{"focus", "MedicationRequest"}, {"_id", ""}, {"owner", "Organization"}} {
		if !values.Has(p.name) {
			continue
		}
		texts := strings.Split(values.Get(p.name), ",")
		if len(texts) > namedMost {
			return fault.Of(fault.CodeValue).At("query " + p.name)
		}
		var ids []ledger.ID
		for _, text := range texts {
			if p.kind != "" {
				text = strings.TrimPrefix(strings.TrimPrefix(text, base+"/fhir/"), p.kind+"/")
			}
			if text == "" || strings.ContainsRune(text, '/') {
				return fault.Of(fault.CodeValue).At("query " + p.name)
			}
			if id, err := uuid.Parse(text); err == nil && id.String() == text {
				ids = append(ids, id)
			}
		}
		q.given.Set(p.name, joined(ids))
		switch {
		case p.name == "owner":
			q.owners, q.owned = ids, true
		case q.byName: // focus and _id: both must hold
			q.named = slices.DeleteFunc(q.named, func(id ledger.ID) bool { return !slices.Contains(ids, id) })
		default:
			q.named, q.byName = ids, true
		}
	}
	return nil
}

func joined(ids []ledger.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ",")
}

// words reads status. A word that Task.status does not have is a mistake.
func (q *taskQuery) words(values url.Values) error {
	if !values.Has("status") {
		return nil
	}
	for text := range strings.SplitSeq(values.Get("status"), ",") {
		word := strings.TrimPrefix(strings.TrimPrefix(text, "http://hl7.org/fhir/task-status"), "|")
		if !slices.Contains([]string{"draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold",
			"failed", "completed", "entered-in-error"}, word) {
			return fault.Of(fault.CodeValue).At("query status")
		}
		q.statuses = append(q.statuses, word)
	}
	q.given.Set("status", strings.Join(q.statuses, ","))
	return nil
}

// find looks for one page. next is where the following page begins, the zero ID when there is none.
func (s *Service) find(ctx context.Context, who auth.Subject, q taskQuery) (page []task, next ledger.ID, err error) {
	looked, size := 0, 0
	for p, err := range s.candidates(ctx, who, q) {
		if err != nil {
			return nil, next, err
		}
		last := next
		if next = p.ID; looked == looksMost {
			return page, last, nil
		}
		looked++
		t, err := s.task(ctx, who, p.ID)
		if fault.CodeOf(err) == fault.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, next, err
		}
		if !q.takes(who, t) {
			continue
		}
		record, err := s.deps.Records.Record(ctx, t.row.Record)
		if fault.CodeOf(err) == fault.CodeErased {
			continue
		}
		if err != nil {
			return nil, next, unknown(err)
		}
		if size += len(record.Sealed); len(page) > 0 && (len(page) == q.count || size > pageBytes) {
			return page, page[len(page)-1].row.ID, nil
		}
		page = append(page, t)
	}
	return page, ledger.ID{}, nil
}

// takes reports whether a Task is among those asked for. An owner whom the caller may not know is nobody's
// answer.
func (q taskQuery) takes(who auth.Subject, t task) bool {
	status, _ := t.state.TaskStatus()
	switch {
	case len(q.statuses) > 0 && !slices.Contains(q.statuses, status):
		return false
	case q.owned && (!t.mayKnowHolder(who) || t.row.Holder == ledger.ID{} || !slices.Contains(q.owners, t.row.Holder)):
		return false
	}
	return !slices.ContainsFunc(q.updated, func(s span) bool { return !s.holds(t.modified()) })
}

// searchset opens the page and writes it.
func (s *Service) searchset(ctx context.Context, who auth.Subject, q taskQuery, page []task, next ledger.ID) ([]byte, error) {
	bodies, err := s.write(ctx, who, "search", page)
	if err != nil {
		return nil, err
	}
	c := collection{kind: "searchset", links: []link{{"self", s.searchURL(q, q.before)}}}
	if next != (ledger.ID{}) {
		c.links = append(c.links, link{"next", s.searchURL(q, next)})
	}
	if next == (ledger.ID{}) && q.before == (ledger.ID{}) {
		total := len(page)
		c.total = &total
	}
	for i, t := range page {
		c.entries = append(c.entries, member{fullURL: s.deps.BaseURL + "/fhir/Task/" + t.row.ID.String(), resource: bodies[i], mode: "match"})
	}
	return c.bundle()
}

func (s *Service) searchURL(q taskQuery, before ledger.ID) string {
	values := url.Values{"_count": {strconv.Itoa(q.count)}}
	for name, v := range q.given {
		values[name] = v
	}
	if before != (ledger.ID{}) {
		values.Set("_before", before.String())
	}
	return s.deps.BaseURL + "/fhir/Task?" + values.Encode()
}

// span is a stretch of time: from ≤ t < to; a zero end is open.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool {
	return (s.from.IsZero() || !t.Before(s.from)) && (s.to.IsZero() || t.Before(s.to))
}

// parseSpan reads a date parameter: eq, gt, ge, lt or le, and a date as exact as one likes (FHIR R4
// search.html#date). A date without a zone is in UTC.
func parseSpan(text string) (s span, err error) {
	prefix := "eq"
	if len(text) > 2 && text[0] >= 'a' {
		prefix, text = text[:2], text[2:]
	}
	from, to, ok := dateRange(text)
	switch {
	case !ok:
	case prefix == "eq":
		return span{from, to}, nil
	case prefix == "ge":
		return span{from: from}, nil
	case prefix == "gt":
		return span{from: to}, nil
	case prefix == "lt":
		return span{to: from}, nil
	case prefix == "le":
		return span{to: to}, nil
	}
	return s, fault.Of(fault.CodeValue).At("query _lastUpdated")
}

// dateRange is what a date covers.
func dateRange(text string) (from, to time.Time, ok bool) {
	text = strings.ReplaceAll(text, " ", "+") // a + that nobody escaped
	for _, f := range []struct {
		layout string
		next   func(time.Time) time.Time
	}{
		{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
		{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
		{"2006-01-02T15:04:05Z07:00", func(t time.Time) time.Time {
			if t.Nanosecond() != 0 {
				return t.Add(time.Millisecond)
			}
			return t.Add(time.Second)
		}},
	} {
		if from, err := time.Parse(f.layout, text); err == nil {
			return from, f.next(from), true
		}
	}
	return from, to, false
}
