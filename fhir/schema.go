package fhir

import (
	"strings"
	"sync"
)

// typeDef is one FHIR type. Elements are numbered, so that a set of them is one word.
type typeDef struct {
	name     string
	resource bool              // carries resourceType
	members  map[string]member // by JSON property name, choices spelled out
	elements []elementDef
	required uint64 // bit set of elements
}

// elementDef is what FHIR calls an element; a choice is one element with several members.
type elementDef struct {
	name   string // as in FHIRPath, without [x]
	choice bool
	many   bool
	codes  map[string]struct{} // required binding, nil if none
}

// member is one JSON property: which element it is, and of what type.
type member struct {
	element   int
	primitive primitive // of a simple value
	def       *typeDef  // of an object; nil for a resource
}

func (m member) simple() bool   { return m.primitive != noPrimitive }
func (m member) resource() bool { return m.primitive == noPrimitive && m.def == nil }

// types is the parsed table. It is made once and only read.
var types = sync.OnceValue(func() map[string]*typeDef { return parseTypes(definitions) })

// parseTypes reads the notation that definitions.go explains.
func parseTypes(text string) map[string]*typeDef {
	all := map[string]*typeDef{}
	parents := map[string]string{}
	var lines [][2]string // type, element line
	current := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case line[0] != ' ':
			current = fields[0]
			all[current] = &typeDef{name: current, resource: current == "Resource", members: map[string]member{}}
			if len(fields) == 3 {
				parents[current] = fields[2]
			}
			lines = append(lines, [2]string{current, ""})
		default:
			lines = append(lines, [2]string{current, line})
		}
	}
	for _, l := range lines { // a parent stands before its children
		def := all[l[0]]
		if l[1] == "" {
			def.inherit(all[parents[l[0]]])
			continue
		}
		def.add(all, strings.Fields(l[1]))
	}
	return all
}

func (t *typeDef) inherit(parent *typeDef) {
	if parent == nil {
		return
	}
	t.resource = parent.resource
	t.elements = append(t.elements, parent.elements...)
	t.required = parent.required
	for name, m := range parent.members {
		t.members[name] = m
	}
}

// add reads one element line.
func (t *typeDef) add(all map[string]*typeDef, fields []string) {
	name, choice := strings.CutSuffix(fields[0], "[x]")
	e := elementDef{name: name, choice: choice}
	index := len(t.elements)
	for i, f := range fields[2:] {
		switch f {
		case "!":
			t.required |= 1 << index
		case "*":
			e.many = true
		case "+":
			e.many = true
			t.required |= 1 << index
		case ":":
			e.codes = map[string]struct{}{}
			for code := range strings.SplitSeq(fields[i+3], "|") {
				e.codes[code] = struct{}{}
			}
		}
	}
	t.elements = append(t.elements, e)
	for typ := range strings.SplitSeq(fields[1], "|") {
		property := name
		if choice {
			property += strings.ToUpper(typ[:1]) + typ[1:]
		}
		if typ == "." {
			typ = t.name + "." + name
		}
		m := member{element: index, primitive: primitives(typ), def: all[typ]}
		if typ == "Resource" {
			m.def = nil // whichever it says it is
		}
		t.members[property] = m
	}
}

// isResourceType reports whether R4 has a resource of that name.
func isResourceType(name string) bool {
	_, ok := resourceTypes()[name]
	return ok
}

var resourceTypes = sync.OnceValue(func() map[string]struct{} {
	all := map[string]struct{}{}
	for name := range strings.FieldsSeq(resourceTypeNames) {
		all[name] = struct{}{}
	}
	return all
})

// resourceTypeNames is http://hl7.org/fhir/ValueSet/resource-types 4.0.1 without the abstract ones.
const resourceTypeNames = `
Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic
Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry
ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication
CommunicationRequest CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage
CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric
DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis
Encounter Endpoint EnrollmentRequest EnrollmentResponse EpisodeOfCare EventDefinition Evidence
EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition Group
GuidanceResponse HealthcareService ImagingStudy Immunization ImmunizationEvaluation
ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List Location Measure
MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader
MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition
OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation
Person PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer
SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery
SupplyRequest Task TerminologyCapabilities TestReport TestScript ValueSet VerificationResult
VisionPrescription
`
