package rest

import (
	"net/http"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Take handles the POST of a resource: types are the resourceTypes taken at this path.
func (s *Service) Take(types ...string) http.Handler {
	return s.taking(func(d *fhir.Document) error {
		if slices.Contains(types, d.Type()) {
			return nil
		}
		return notTaken(d.Type(), types)
	})
}

// NotTheirs handles the POST of what only the other party sends.
func (s *Service) NotTheirs() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		adapters.Refuse(w, fault.Of(fault.CodeSender))
	})
}

// Process handles POST $process-message: a Bundle of type message and nothing else.
func (s *Service) Process() http.Handler {
	return s.taking(func(d *fhir.Document) error {
		switch {
		case d.Type() != streams.TypeBundle:
			return fault.Of(fault.CodeResourceType).At("resourceType")
		case d.BundleType() != "message":
			return fault.Of(fault.CodeResourceType).At("Bundle.type")
		}
		return nil
	})
}

// notTaken tells the sender of a message that is the other party's from one of a strange type.
func notTaken(given string, types []string) error {
	atBase := slices.Contains(types, streams.TypeBundle)
	if atBase && (given == streams.TypeMedicationRequest || given == streams.TypeMedicationDispense) {
		return fault.Of(fault.CodeSender).At(given)
	}
	return fault.Of(fault.CodeResourceType).At("resourceType")
}

// admission says whether a document may be sent to a path.
type admission func(*fhir.Document) error

func (s *Service) taking(admit admission) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, a, ok := s.submit(w, r, admit, s.posting); ok {
			s.answer(w, r, p, a)
		}
	})
}

// conditions are what the request's headers say that the decision depends on, as the message carries it.
type conditions func(who auth.Subject, r *http.Request, p posted) (nats.Header, error)

// submit takes the body of r and waits for the recorder's word. It answers itself and returns false when
// there is none.
func (s *Service) submit(w http.ResponseWriter, r *http.Request, admit admission, on conditions) (p posted, a streams.Answer, ok bool) {
	fail := func(err error) (posted, streams.Answer, bool) {
		adapters.Refuse(w, err)
		return p, a, false
	}
	who, err := s.mayTake(r)
	if err != nil {
		return fail(err)
	}
	body, give, err := s.body(w, r)
	if err != nil {
		return fail(err)
	}
	defer give()
	p, issues := examine(body, admit, s.validate())
	if r.Header.Get(streams.HeaderCollect) != "" {
		issues = knownPatient(issues)
	}
	if status, refused := fhir.Refused(issues); refused {
		adapters.RefuseAll(w, status, issues, 0)
		return p, a, false
	}
	if err := p.mayAsk(who); err != nil {
		return fail(err)
	}
	header, err := on(who, r, p)
	if err != nil {
		return fail(err)
	}
	m, err := p.message(who, r, header)
	if err != nil {
		return fail(err)
	}
	defer s.deps.Examined.Keep(m.ID, p.examined)()
	if a, err = s.deps.Submit.Call(r.Context(), m, answerWait); err != nil {
		return fail(err)
	}
	return p, a, true
}

// mayTake judges what can be judged before the body is read. What a header or parameter asks for and
// nobody here does is refused, not ignored.
func (s *Service) mayTake(r *http.Request) (auth.Subject, error) {
	who, err := subject(r.Context())
	if err != nil {
		return who, err
	}
	if err := s.deps.Healthy(); err != nil {
		return who, fault.Of(fault.CodeUnavailable).Wrap(err)
	}
	if err := parameters(r); err != nil {
		return who, err
	}
	return who, mediaType(r)
}

// validate is what the hub was configured with.
func (s *Service) validate() func(*fhir.Document) []fhir.Issue {
	if s.deps.Validate != nil {
		return s.deps.Validate
	}
	return fhir.Validate
}

// posted is a body that may enter the stream.
type posted struct {
	body   []byte
	doc    *fhir.Document
	bundle string // Bundle.type; "" for a bare resource
	read   fhir.Message

	examined fhir.Examination // of a batch the Document alone
}

// examine decodes, admits, validates and reads a body; errors among the issues refuse it. A batch's
// entries are judged one by one by the recorder.
func examine(body []byte, admit admission, validate func(*fhir.Document) []fhir.Issue) (posted, []fhir.Issue) {
	p := posted{body: body}
	doc, err := fhir.Decode(body)
	if err != nil {
		return p, []fhir.Issue{fhir.IssueOf(err)}
	}
	if err := admit(doc); err != nil {
		return p, []fhir.Issue{fhir.IssueOf(err)}
	}
	p.doc, p.bundle = doc, doc.BundleType()
	if p.bundle == "batch" {
		p.examined.Document = doc
		return p, nil
	}
	p.examined = fhir.Examine(doc, validate)
	p.read = p.examined.Message
	return p, p.examined.Issues
}
