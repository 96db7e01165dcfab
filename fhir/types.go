package fhir

import "time"

// Message is what the hub reads from a document: prescriptions, dispenses and the one patient.
type Message struct {
	Type       string // root resourceType
	BundleType string // "" for a bare resource
	ID         string // MessageHeader.id, else Bundle.identifier as system|value; "" = none
	Subject    Subject
	Requests   []Request
	Dispenses  []Dispense
	Issues     []Issue // warnings
}

// Identifier is a business identifier.
type Identifier struct{ System, Value string }

// Subject is the one patient of a message.
type Subject struct {
	Identifiers []Identifier // best first: use=official, then in order
	Local       string       // the organisation's own id (Patient/<id>), not of an urn:uuid; "" = none
	Resource    bool         // a Patient resource is in the message
	Name        string       // for the inbox only; never logged
	BirthDate   string
}

// Request is one MedicationRequest of a message.
type Request struct {
	Item           int        // index of its Bundle entry, 0 for a bare resource
	Expression     string     // where it stands
	Raw            []byte     // its bytes, untouched
	Identity       Identifier // the one business identifier, zero if none
	Local          string     // resource id, "" if none
	Status, Intent string
	Priority       string
	Inpatient      bool
	DoNotPerform   bool         // doNotPerform or reported
	Performer      []Identifier // dispenseRequest.performer, every identifier it resolves to
	PerformerGiven bool
	Repeats        int    // numberOfRepeatsAllowed, 0 if absent
	ValidFrom      string // FHIR dateTime as sent
	ValidTo        string
	AuthoredOn     string
	Group          Identifier
	Prior          []Identifier // priorPrescription: identifiers; a reference's id has System ""
	BasedOn        []Identifier
	Frozen         []byte // canonical bytes of the frozen fields (PROTOCOL §2): equal iff unchanged

	Quantity       Amount        // of each fill: dispenseRequest.quantity
	First          Amount        // of the first: initialFill.quantity
	FirstLasts     time.Duration // initialFill.duration
	Interval       time.Duration // dispenseInterval
	NoSubstitution bool
	Categories     []Coding
	Medication     []Coding // its codes, as far as the message says
	Ingredients    []Coding // those of Medication.ingredient
}

// Dispense is one MedicationDispense of a message.
type Dispense struct {
	Item         int
	Expression   string
	Raw          []byte
	Identity     Identifier
	Local        string
	Status       string
	StatusReason string     // code, for display
	Type         string     // FF, RF, FFP …; "" if absent
	Cites        []Citation // authorizingPrescription, in order
	HandedOver   string
	Quantity     Amount
	Nothing      bool   // quantity is zero or less
	Substituted  bool   // substitution.wasSubstituted
	Mitigated    bool   // a DetectedIssue of the message says what was done about it
	Frozen       []byte // canonical bytes of all but status, statusReason, meta, text and timestamps
}

// Citation is one authorizingPrescription: every name that it gives for the prescription.
type Citation struct {
	IDs         []string // ids of a literal or contained/bundled MedicationRequest: hub id or clinic's own id
	Identifiers []Identifier
}

// Meta is what a REST read splices in. Tags are added to those that are there.
type Meta struct {
	ID          string
	VersionID   string
	LastUpdated string // FHIR instant
	Tags        []Coding
}

// Coding is a system and a code.
type Coding struct{ System, Code string }

// View is what the inbox shows of a prescription, read from the document.
type View struct {
	Medication   string   // text or display or code
	Dosage       []string // the sender's text, else a rendering of the structured dosage
	Prescriber   string
	Organization string
	Note         []string
	Quantity     string
	Repeats      int
	AuthoredOn   string
	ValidTo      string
	Patient      string
	BirthDate    string
}
