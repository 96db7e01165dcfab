package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// Validate handles POST {type}/$validate (FHIR R4 resource-operation-validate.html): base R4 and the profiles
// of the configuration judge the resource in the body, and nothing is recorded or published. What was found is a 200 however bad it is;
// any other status says that it was not judged.
func (s *Service) Validate() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := mayValidate(r); err != nil {
			adapters.Refuse(w, err)
			return
		}
		body, give, err := s.body(w, r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		defer give()
		issues, err := s.judge(body, r.PathValue("type"))
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		if len(issues) == 0 {
			issues = []fhir.Issue{{Severity: "information", Code: "informational", Text: "All OK: no issue was found."}}
		}
		reply(w, http.StatusOK, fhir.Outcome(issues))
	})
}

// mayValidate judges what can be judged before the body is read. The recorder need not be healthy.
func mayValidate(r *http.Request) error {
	if _, err := subject(r.Context()); err != nil {
		return err
	}
	if err := parameters(r); err != nil {
		return err
	}
	if !inR4(r.PathValue("type")) {
		return fault.Of(fault.CodeNotFound)
	}
	return mediaType(r)
}

// inR4 reports whether R4 has a resource type of this name: the validator knows.
func inR4(name string) bool {
	body, err := json.Marshal(map[string]string{"resourceType": name})
	if err != nil {
		return false
	}
	doc, err := fhir.Decode(body)
	if err != nil {
		return false
	}
	strange := func(i fhir.Issue) bool { return i.ID == string(fault.CodeResourceType) }
	return !slices.ContainsFunc(fhir.Validate(doc), strange)
}

// judge finds what is wrong with a resource that should be of a type. The error is about the operation's
// Parameters around it.
func (s *Service) judge(body []byte, resourceType string) ([]fhir.Issue, error) {
	doc, err := fhir.Decode(body)
	if err != nil {
		return []fhir.Issue{fhir.IssueOf(err)}, nil
	}
	if doc.Type() != parametersType {
		return s.judgeAs(doc, resourceType), nil
	}
	resource, err := operand(body)
	switch {
	case err != nil:
		return nil, err
	case resource == nil && resourceType == parametersType:
		return s.judgeAs(doc, resourceType), nil
	case resource == nil:
		return nil, fault.Of(fault.CodeRequired).At("Parameters.parameter")
	}
	if doc, err = fhir.Decode(resource); err != nil {
		return []fhir.Issue{fhir.IssueOf(err)}, nil
	}
	issues := s.judgeAs(doc, resourceType)
	// the only parameter, so the first text like it is it
	moveBelow(issues, body[:max(0, bytes.Index(body, resource))])
	return issues, nil
}

// judgeAs validates, and says first if it is of another type.
func (s *Service) judgeAs(doc *fhir.Document, resourceType string) []fhir.Issue {
	issues := s.validate()(doc)
	if given := doc.Type(); given == resourceType || !inR4(given) { // which the validator says itself
		return issues
	}
	other := fhir.IssueOf(fault.Of(fault.CodeResourceType).At("resourceType"))
	return slices.Insert(issues, 0, other)
}
