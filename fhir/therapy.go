package fhir

import (
	"strings"
	"time"
)

// Therapy is what a safety check reads of one MedicationRequest and of what came with it. Codings without
// a system, and those that say nothing about a medicine ([speaks]), are left out.
type Therapy struct {
	Codes      []Coding      // of the medicine
	Parts      []Coding      // of its active ingredients, and of those of which nothing is said
	Excipients []Coding      // of its inactive ingredients
	Supply     time.Duration // expectedSupplyDuration of a fill, 0 = not said
	Private    bool          // a label of meta.security restricts who may hear of it
	Allergies  []Allergy     // of the same patient, that count
	Stated     int           // allergies of the same patient in the message, those included that do not count
}

// Allergy is an AllergyIntolerance that counts: neither inactive nor resolved, refuted or entered in error.
type Allergy struct {
	Expression  string // where it stands
	Codes       []Coding
	Intolerance bool // type intolerance
	High        bool // criticality high
	Private     bool // a label restricts who may hear of it
}

// Bounds of what is read of one medicine and one message.
const (
	maxDrugCodes  = 64 // codings of each kind
	maxDrugDepth  = 4  // of ingredients of ingredients
	maxDrugItems  = 256
	maxAllergies  = 256
	maxAllergyFor = 64 // codings of one
)

// TherapyOf reads the prescription at item of a valid document. ErrItem when there is none.
func TherapyOf(d *Document, item int) (Therapy, error) {
	s := d.tree()
	home, ok := s.at(item)
	if !ok || s.entries[home].typ != "MedicationRequest" {
		return Therapy{}, ErrItem
	}
	q := s.entries[home].resource
	t := Therapy{Supply: durationOf(q.get("dispenseRequest", "expectedSupplyDuration"))}
	t.Private = restricted(d.root()) || restricted(q)
	medicine := q.choice("medication")
	if medicine.named("medicationCodeableConcept") {
		t.Codes = drugCodes(nil, medicine)
	} else {
		to := s.resolve(medicine, home)
		t.Private = t.Private || restricted(to.element)
		t.Codes = drugCodes(nil, to.member("code"))
		items := maxDrugItems
		t.ingredients(s, to, maxDrugDepth, &items)
	}
	t.allergies(&reader{doc: d, scope: s}, q, home)
	return t, nil
}

// ingredients adds those of a Medication or a Substance, and theirs.
func (t *Therapy) ingredients(s *scope, of target, depth int, items *int) {
	if depth == 0 || !of.present() {
		return
	}
	for i := range of.member("ingredient").items() {
		if *items--; *items < 0 {
			return
		}
		into := &t.Parts
		if i.member("isActive").text() == "false" {
			into = &t.Excipients
		}
		for _, name := range []string{"itemCodeableConcept", "substanceCodeableConcept"} {
			*into = drugCodes(*into, i.member(name))
		}
		for _, name := range []string{"itemReference", "substanceReference"} {
			to := s.resolve(i.member(name), of.home)
			*into = drugCodes(*into, to.member("code"))
			t.ingredients(s, to, depth-1, items)
		}
	}
}

// drugCodes adds the codings of a concept that say what the medicine is.
func drugCodes(all []Coding, concept element) []Coding {
	for _, c := range codingsOf(concept) {
		if len(all) < maxDrugCodes && c.speaks() {
			all = append(all, c)
		}
	}
	return all
}

// speaks reports whether a coding says what a medicine is: not one without a system, which means another
// thing for everybody; not that nothing is known; not the kind of entry that a German prescription states
// (free text, compounding, by ingredient), which most medicines share.
func (c Coding) speaks() bool {
	switch c.System {
	case "", "https://fhir.kbv.de/CodeSystem/KBV_CS_ERP_Medication_Type":
		return false
	}
	tail := c.System[strings.LastIndexByte(c.System, '/')+1:]
	return tail != "data-absent-reason" && tail != "v3-NullFlavor" && tail != "NullFlavor"
}

// restricted reports whether a resource's labels keep it from others: confidentiality restricted or very
// restricted, 42 CFR Part 2, or one of the sensitivities and policies of v3-ActCode.
func restricted(e element) bool {
	for label := range e.get("meta", "security").items() {
		system, code := label.member("system").text(), label.member("code").text()
		switch system[strings.LastIndexByte(system, '/')+1:] {
		case "v3-Confidentiality", "Confidentiality":
			if code == "R" || code == "V" {
				return true
			}
		case "v3-ActCode", "ActCode":
			return true
		}
		if strings.Contains(code, "42CFRPart2") {
			return true
		}
	}
	return false
}

// allergies reads those in the message that are the patient's.
func (t *Therapy) allergies(r *reader, q element, home int) {
	subject := r.patient(q.member("subject"), home)
	for at, e := range r.scope.entries {
		if e.typ == "AllergyIntolerance" {
			t.allergy(r, subject, e.resource, at)
		}
	}
	for c := range q.member("contained").items() {
		if c.member("resourceType").is("AllergyIntolerance") {
			t.allergy(r, subject, c, home)
		}
	}
}

func (t *Therapy) allergy(r *reader, subject patient, e element, home int) {
	if t.Stated == maxAllergies || !subject.same(r.patient(e.member("patient"), home)) {
		return
	}
	t.Stated++
	if !counts(e) {
		return
	}
	a := Allergy{Expression: e.expression(), Intolerance: e.member("type").is("intolerance"), High: e.member("criticality").is("high"), Private: restricted(e)}
	concepts := []element{e.member("code")}
	for reaction := range e.member("reaction").items() {
		concepts = append(concepts, reaction.member("substance"))
	}
	for _, c := range codingsOf(concepts...) {
		if len(a.Codes) < maxAllergyFor && c.speaks() {
			a.Codes = append(a.Codes, c)
		}
	}
	t.Allergies = append(t.Allergies, a)
}

// counts reports whether an allergy is one now: what is over, refuted or a mistake is none.
func counts(e element) bool {
	for _, name := range []string{"clinicalStatus", "verificationStatus"} {
		for _, c := range codingsOf(e.member(name)) {
			switch c.Code {
			case "inactive", "resolved", "refuted", "entered-in-error":
				return false
			}
		}
	}
	return true
}
