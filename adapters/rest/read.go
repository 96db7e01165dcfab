package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// located is a resource that the caller may read, before it is opened.
type located struct {
	record  ledger.ID
	item    func(body []byte) int // which Bundle entry; nil = the body as received
	id      string
	version int
	state   string    // the prescription's; "" = not known for this version
	made    ledger.ID // the message that made the version; the zero ID = record
}

// at is when the version was made.
func (l located) at() time.Time {
	if l.made != (ledger.ID{}) {
		return recordTime(l.made)
	}
	return recordTime(l.record)
}

// found is a resource with what is spliced into it.
type found struct {
	raw     []byte // the resource's own bytes
	id      string
	version int
	at      time.Time
	state   string
	verdict string // on the signatures of the message that brought it; "" = none was asked for
}

type locate func(ctx context.Context, who auth.Subject, r *http.Request) (located, error)

// ReadRequest serves GET MedicationRequest/{id} and, with a version in the path, its vread.
func (s *Service) ReadRequest() http.Handler { return s.reading(s.request, splice) }

// ReadDispense serves GET MedicationDispense/{id} and its vread.
func (s *Service) ReadDispense() http.Handler { return s.reading(s.dispense, splice) }

// Original serves the untouched bytes of the prescription as received in its Bundle or alone.
func (s *Service) Original() http.Handler { return s.reading(s.request, untouched) }

// ReadBundle serves GET Bundle/{id}: a message with several resources, as its sender sent it.
func (s *Service) ReadBundle() http.Handler { return s.reading(s.message, untouched) }

func untouched(f found) ([]byte, error) { return f.raw, nil }

// splice sets id, meta and state tag in the received text.
func splice(f found) ([]byte, error) {
	return fhir.Splice(f.raw, fhir.Meta{ID: f.id, VersionID: strconv.Itoa(f.version),
		LastUpdated: f.at.UTC().Format(instant), Tags: tags(f.state)})
}

// stateSystem is the code system of the tag that a stock client sees the prescription's state in
// (PROTOCOL §5).
const stateSystem = "https://dosewire.example/fhir/CodeSystem/rx-state"

func tags(state string) []fhir.Coding {
	if state == "" {
		return nil
	}
	return []fhir.Coding{{System: stateSystem, Code: state}}
}

// reading finds, opens and writes a resource. The disclosure is stored before the bytes are opened;
// a caller that has this version already gets 304, and nothing is disclosed.
func (s *Service) reading(where locate, form func(found) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := s.locate(r, where)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		h := w.Header()
		h.Set("ETag", etag(l.version))
		h.Set("Last-Modified", l.at().UTC().Format(http.TimeFormat))
		set(h, streams.HeaderState, l.state)
		if matches(r.Header.Values("If-None-Match"), l.version) {
			reply(w, http.StatusNotModified, nil)
			return
		}
		f, err := s.disclose(r.Context(), l)
		if err == nil {
			var body []byte
			if body, err = form(f); err == nil {
				set(h, streams.HeaderVerdict, f.verdict)
				reply(w, http.StatusOK, body)
				return
			}
		}
		for _, name := range []string{"ETag", "Last-Modified", streams.HeaderState} {
			h.Del(name)
		}
		adapters.Refuse(w, err)
	})
}

func (s *Service) locate(r *http.Request, where locate) (located, error) {
	who, err := subject(r.Context())
	if err != nil {
		return located{}, err
	}
	if err := parameters(r); err != nil {
		return located{}, err
	}
	return where(r.Context(), who, r)
}

// matches reports whether If-None-Match names the version.
func matches(lines []string, version int) bool {
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		switch strings.TrimSpace(tag) {
		case "*", etag(version), strings.TrimPrefix(etag(version), "W/"):
			return true
		}
	}
	return false
}

func (s *Service) disclose(ctx context.Context, l located) (found, error) {
	who, err := subject(ctx)
	if err != nil {
		return found{}, err
	}
	plain, err := s.deps.Records.Read(ctx, reader(who, "read"), l.record)
	if err != nil {
		return found{}, unknown(err)
	}
	raw := plain.Body
	if l.item != nil {
		if raw, err = fhir.Item(plain.Body, l.item(plain.Body)); err != nil {
			return found{}, fault.New(fault.Tampered, "rest: the record holds no such item").Wrap(err)
		}
	}
	return found{raw: raw, id: l.id, version: l.version, at: l.at(), state: l.state, verdict: plain.Signature}, nil
}

// request finds a prescription that the caller may see, as its clinic last said it, or as it was said
// at the version asked for.
func (s *Service) request(ctx context.Context, who auth.Subject, r *http.Request) (located, error) {
	id, err := pathID(r)
	if err != nil {
		return located{}, err
	}
	k, err := s.known(ctx, who, id)
	if err != nil {
		return located{}, err
	}
	version, err := pathVersion(r, k.row.Version)
	if err != nil {
		return located{}, err
	}
	return s.at(ctx, k, version)
}

// inForce is the last record of the newest version up to version.
func inForce(records []ledger.Record, version int) (best ledger.Record, ok bool) {
	for _, r := range records {
		if r.Version <= version && r.Version >= best.Version {
			best, ok = r, true
		}
	}
	return best, ok
}

// dispense finds a dispense that the caller made, or that was made from a prescription it issued.
func (s *Service) dispense(ctx context.Context, who auth.Subject, r *http.Request) (located, error) {
	id, err := pathID(r)
	if err != nil {
		return located{}, err
	}
	d, err := s.deps.Records.DispenseByResource(ctx, id)
	if err != nil {
		return located{}, unknown(err)
	}
	if d.Org != who.Org {
		p, err := s.deps.Records.Prescription(ctx, d.Prescription)
		if err != nil {
			return located{}, unknown(err)
		}
		if p.Clinic != who.Org {
			return located{}, fault.Of(fault.CodeNotFound)
		}
	}
	version, err := pathVersion(r, d.Version)
	if err != nil {
		return located{}, err
	}
	records, err := s.deps.Records.Versions(ctx, id)
	if err != nil {
		return located{}, unknown(err)
	}
	record, ok := inForce(records, version)
	if !ok {
		return located{}, fault.Of(fault.CodeNotServed) // it came with others in one Bundle
	}
	return located{record: record.ID, item: only(streams.TypeMedicationDispense), id: id.String(), version: version}, nil
}

// message finds a Bundle that the caller sent.
func (s *Service) message(ctx context.Context, who auth.Subject, r *http.Request) (located, error) {
	id, err := pathID(r)
	if err != nil {
		return located{}, err
	}
	record, err := s.deps.Records.Record(ctx, id)
	if err != nil && fault.CodeOf(err) != fault.CodeErased {
		return located{}, unknown(err)
	}
	if record.Org != who.Org || record.Type != streams.TypeBundle {
		return located{}, fault.Of(fault.CodeNotFound)
	}
	if _, err := pathVersion(r, 1); err != nil {
		return located{}, err
	}
	return located{record: id, id: id.String(), version: 1}, err
}

func pathID(r *http.Request) (ledger.ID, error) {
	text := r.PathValue("id")
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text { // one spelling only
		return id, fault.Of(fault.CodeNotFound)
	}
	return id, nil
}

// pathVersion is the version that a vread asks for, else the newest.
func pathVersion(r *http.Request, newest int) (int, error) {
	text := r.PathValue("version")
	if text == "" {
		return newest, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > newest || strconv.Itoa(n) != text {
		return 0, fault.Of(fault.CodeNotFound)
	}
	return n, nil
}

// only finds the one resource of a type in a Bundle.
func only(resourceType string) func([]byte) int {
	return func(body []byte) int {
		doc, err := fhir.Decode(body)
		if err != nil {
			return 0
		}
		read, _ := fhir.Read(doc)
		switch {
		case resourceType == streams.TypeMedicationDispense && len(read.Dispenses) > 0:
			return read.Dispenses[0].Item
		case resourceType == streams.TypeMedicationRequest && len(read.Requests) > 0:
			return read.Requests[0].Item
		}
		return 0
	}
}

// itemsOf is what is cut out of the record that a state refers to; nil for all of it.
func itemsOf(reference string) []int {
	if _, entry, bundled := strings.Cut(reference, "#"); bundled {
		if n, err := strconv.Atoi(entry); err == nil {
			return []int{n}
		}
	}
	return nil
}

// itemOf is the Bundle entry in a state's record reference ("<record>#<entry>"); a bare resource has
// none.
func itemOf(reference string) func([]byte) int {
	_, entry, _ := strings.Cut(reference, "#")
	n, err := strconv.Atoi(entry)
	if err != nil {
		n = 0
	}
	return func([]byte) int { return n }
}
