package fhir

// definitions is FHIR R4 (4.0.1) for what travels with a prescription, one element a line:
//
//	name type card codes
//
// A line without indent opens a type, "<" names the type whose elements it has too. name[x] is a
// choice of the types between bars. The card is ? (0..1, when nothing is said), ! (1..1), * (0..*)
// or + (1..*). After ":" stand the codes of a required binding. A type that begins with a dot is the
// element's own: .name below Bundle.entry is the type Bundle.entry.name.
const definitions = `
Element
  id string
  extension Extension *
BackboneElement < Element
  modifierExtension Extension *
Resource
  id id
  meta Meta
  implicitRules uri
  language code
DomainResource < Resource
  text Narrative
  contained Resource *
  extension Extension *
  modifierExtension Extension *

MedicationRequest < DomainResource
  identifier Identifier *
  status code ! : active|on-hold|cancelled|completed|entered-in-error|stopped|draft|unknown
  statusReason CodeableConcept
  intent code ! : proposal|plan|order|original-order|reflex-order|filler-order|instance-order|option
  category CodeableConcept *
  priority code : routine|urgent|asap|stat
  doNotPerform boolean
  reported[x] boolean|Reference
  medication[x] CodeableConcept|Reference !
  subject Reference !
  encounter Reference
  supportingInformation Reference *
  authoredOn dateTime
  requester Reference
  performer Reference
  performerType CodeableConcept
  recorder Reference
  reasonCode CodeableConcept *
  reasonReference Reference *
  instantiatesCanonical canonical *
  instantiatesUri uri *
  basedOn Reference *
  groupIdentifier Identifier
  courseOfTherapyType CodeableConcept
  insurance Reference *
  note Annotation *
  dosageInstruction Dosage *
  dispenseRequest .
  substitution .
  priorPrescription Reference
  detectedIssue Reference *
  eventHistory Reference *
MedicationRequest.dispenseRequest < BackboneElement
  initialFill .
  dispenseInterval Duration
  validityPeriod Period
  numberOfRepeatsAllowed unsignedInt
  quantity Quantity
  expectedSupplyDuration Duration
  performer Reference
MedicationRequest.dispenseRequest.initialFill < BackboneElement
  quantity Quantity
  duration Duration
MedicationRequest.substitution < BackboneElement
  allowed[x] boolean|CodeableConcept !
  reason CodeableConcept

MedicationDispense < DomainResource
  identifier Identifier *
  partOf Reference *
  status code ! : preparation|in-progress|cancelled|on-hold|completed|entered-in-error|stopped|declined|unknown
  statusReason[x] CodeableConcept|Reference
  category CodeableConcept
  medication[x] CodeableConcept|Reference !
  subject Reference
  context Reference
  supportingInformation Reference *
  performer . *
  location Reference
  authorizingPrescription Reference *
  type CodeableConcept
  quantity Quantity
  daysSupply Quantity
  whenPrepared dateTime
  whenHandedOver dateTime
  destination Reference
  receiver Reference *
  note Annotation *
  dosageInstruction Dosage *
  substitution .
  detectedIssue Reference *
  eventHistory Reference *
MedicationDispense.performer < BackboneElement
  function CodeableConcept
  actor Reference !
MedicationDispense.substitution < BackboneElement
  wasSubstituted boolean !
  type CodeableConcept
  reason CodeableConcept *
  responsibleParty Reference *

Medication < DomainResource
  identifier Identifier *
  code CodeableConcept
  status code : active|inactive|entered-in-error
  manufacturer Reference
  form CodeableConcept
  amount Ratio
  ingredient . *
  batch .
Medication.ingredient < BackboneElement
  item[x] CodeableConcept|Reference !
  isActive boolean
  strength Ratio
Medication.batch < BackboneElement
  lotNumber string
  expirationDate dateTime

Patient < DomainResource
  identifier Identifier *
  active boolean
  name HumanName *
  telecom ContactPoint *
  gender code : male|female|other|unknown
  birthDate date
  deceased[x] boolean|dateTime
  address Address *
  maritalStatus CodeableConcept
  multipleBirth[x] boolean|integer
  photo Attachment *
  contact . *
  communication . *
  generalPractitioner Reference *
  managingOrganization Reference
  link . *
Patient.contact < BackboneElement
  relationship CodeableConcept *
  name HumanName
  telecom ContactPoint *
  address Address
  gender code : male|female|other|unknown
  organization Reference
  period Period
Patient.communication < BackboneElement
  language CodeableConcept !
  preferred boolean
Patient.link < BackboneElement
  other Reference !
  type code ! : replaced-by|replaces|refer|seealso

Practitioner < DomainResource
  identifier Identifier *
  active boolean
  name HumanName *
  telecom ContactPoint *
  address Address *
  gender code : male|female|other|unknown
  birthDate date
  photo Attachment *
  qualification . *
  communication CodeableConcept *
Practitioner.qualification < BackboneElement
  identifier Identifier *
  code CodeableConcept !
  period Period
  issuer Reference

PractitionerRole < DomainResource
  identifier Identifier *
  active boolean
  period Period
  practitioner Reference
  organization Reference
  code CodeableConcept *
  specialty CodeableConcept *
  location Reference *
  healthcareService Reference *
  telecom ContactPoint *
  availableTime . *
  notAvailable . *
  availabilityExceptions string
  endpoint Reference *
PractitionerRole.availableTime < BackboneElement
  daysOfWeek code * : mon|tue|wed|thu|fri|sat|sun
  allDay boolean
  availableStartTime time
  availableEndTime time
PractitionerRole.notAvailable < BackboneElement
  description string !
  during Period

Organization < DomainResource
  identifier Identifier *
  active boolean
  type CodeableConcept *
  name string
  alias string *
  telecom ContactPoint *
  address Address *
  partOf Reference
  contact . *
  endpoint Reference *
Organization.contact < BackboneElement
  purpose CodeableConcept
  name HumanName
  telecom ContactPoint *
  address Address

MessageHeader < DomainResource
  event[x] Coding|uri !
  destination . *
  sender Reference
  enterer Reference
  author Reference
  source . !
  responsible Reference
  reason CodeableConcept
  response .
  focus Reference *
  definition canonical
MessageHeader.destination < BackboneElement
  name string
  target Reference
  endpoint url !
  receiver Reference
MessageHeader.source < BackboneElement
  name string
  software string
  version string
  contact ContactPoint
  endpoint url !
MessageHeader.response < BackboneElement
  identifier id !
  code code ! : ok|transient-error|fatal-error
  details Reference

Bundle < Resource
  identifier Identifier
  type code ! : document|message|transaction|transaction-response|batch|batch-response|history|searchset|collection
  timestamp instant
  total unsignedInt
  link . *
  entry . *
  signature Signature
Bundle.link < BackboneElement
  relation string !
  url uri !
Bundle.entry < BackboneElement
  link Bundle.link *
  fullUrl uri
  resource Resource
  search .
  request .
  response .
Bundle.entry.search < BackboneElement
  mode code : match|include|outcome
  score decimal
Bundle.entry.request < BackboneElement
  method code ! : GET|HEAD|POST|PUT|DELETE|PATCH
  url uri !
  ifNoneMatch string
  ifModifiedSince instant
  ifMatch string
  ifNoneExist string
Bundle.entry.response < BackboneElement
  status string !
  location uri
  etag string
  lastModified instant
  outcome Resource

OperationOutcome < DomainResource
  issue . +
OperationOutcome.issue < BackboneElement
  severity code ! : fatal|error|warning|information
  code code ! : invalid|structure|required|value|invariant|security|login|unknown|expired|forbidden|suppressed|processing|not-supported|duplicate|multiple-matches|not-found|deleted|too-long|code-invalid|extension|too-costly|business-rule|conflict|transient|lock-error|no-store|exception|timeout|incomplete|throttled|informational
  details CodeableConcept
  diagnostics string
  location string *
  expression string *

Composition < DomainResource
  identifier Identifier
  status code ! : preliminary|final|amended|entered-in-error
  type CodeableConcept !
  category CodeableConcept *
  subject Reference
  encounter Reference
  date dateTime !
  author Reference +
  title string !
  confidentiality code : U|L|M|N|R|V
  attester . *
  custodian Reference
  relatesTo . *
  event . *
  section . *
Composition.attester < BackboneElement
  mode code ! : personal|professional|legal|official
  time dateTime
  party Reference
Composition.relatesTo < BackboneElement
  code code ! : replaces|transforms|signs|appends
  target[x] Identifier|Reference !
Composition.event < BackboneElement
  code CodeableConcept *
  period Period
  detail Reference *
Composition.section < BackboneElement
  title string
  code CodeableConcept
  author Reference *
  focus Reference
  text Narrative
  mode code : working|snapshot|changes
  orderedBy CodeableConcept
  entry Reference *
  emptyReason CodeableConcept
  section Composition.section *
` + dataTypes
