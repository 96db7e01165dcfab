package fhir

// dataTypes is the second half of definitions: the types that elements have.
const dataTypes = `
Extension < Element
  url uri !
  value[x] base64Binary|boolean|canonical|code|date|dateTime|decimal|id|instant|integer|markdown|oid|positiveInt|string|time|unsignedInt|uri|url|uuid|Address|Age|Annotation|Attachment|CodeableConcept|Coding|ContactPoint|Count|Distance|Duration|HumanName|Identifier|Money|Period|Quantity|Range|Ratio|Reference|SampledData|Signature|Timing|ContactDetail|Contributor|DataRequirement|Expression|ParameterDefinition|RelatedArtifact|TriggerDefinition|UsageContext|Dosage|Meta
Meta < Element
  versionId id
  lastUpdated instant
  source uri
  profile canonical *
  security Coding *
  tag Coding *
Narrative < Element
  status code ! : generated|extensions|additional|empty
  div xhtml !
Identifier < Element
  use code : usual|official|temp|secondary|old
  type CodeableConcept
  system uri
  value string
  period Period
  assigner Reference
Reference < Element
  reference string
  type uri
  identifier Identifier
  display string
CodeableConcept < Element
  coding Coding *
  text string
Coding < Element
  system uri
  version string
  code code
  display string
  userSelected boolean
HumanName < Element
  use code : usual|official|temp|nickname|anonymous|old|maiden
  text string
  family string
  given string *
  prefix string *
  suffix string *
  period Period
Address < Element
  use code : home|work|temp|old|billing
  type code : postal|physical|both
  text string
  line string *
  city string
  district string
  state string
  postalCode string
  country string
  period Period
ContactPoint < Element
  system code : phone|fax|email|pager|url|sms|other
  value string
  use code : home|work|temp|old|mobile
  rank positiveInt
  period Period
Quantity < Element
  value decimal
  comparator code : <|<=|>=|>
  unit string
  system uri
  code code
Age < Quantity
Count < Quantity
Distance < Quantity
Duration < Quantity
Money < Element
  value decimal
  currency code
Period < Element
  start dateTime
  end dateTime
Range < Element
  low Quantity
  high Quantity
Ratio < Element
  numerator Quantity
  denominator Quantity
SampledData < Element
  origin Quantity !
  period decimal !
  factor decimal
  lowerLimit decimal
  upperLimit decimal
  dimensions positiveInt !
  data string
Attachment < Element
  contentType code
  language code
  data base64Binary
  url url
  size unsignedInt
  hash base64Binary
  title string
  creation dateTime
Annotation < Element
  author[x] Reference|string
  time dateTime
  text markdown !
Signature < Element
  type Coding +
  when instant !
  who Reference !
  onBehalfOf Reference
  targetFormat code
  sigFormat code
  data base64Binary
Dosage < BackboneElement
  sequence integer
  text string
  additionalInstruction CodeableConcept *
  patientInstruction string
  timing Timing
  asNeeded[x] boolean|CodeableConcept
  site CodeableConcept
  route CodeableConcept
  method CodeableConcept
  doseAndRate . *
  maxDosePerPeriod Ratio
  maxDosePerAdministration Quantity
  maxDosePerLifetime Quantity
Dosage.doseAndRate < Element
  type CodeableConcept
  dose[x] Range|Quantity
  rate[x] Ratio|Range|Quantity
Timing < BackboneElement
  event dateTime *
  repeat .
  code CodeableConcept
Timing.repeat < Element
  bounds[x] Duration|Range|Period
  count positiveInt
  countMax positiveInt
  duration decimal
  durationMax decimal
  durationUnit code : s|min|h|d|wk|mo|a
  frequency positiveInt
  frequencyMax positiveInt
  period decimal
  periodMax decimal
  periodUnit code : s|min|h|d|wk|mo|a
  dayOfWeek code * : mon|tue|wed|thu|fri|sat|sun
  timeOfDay time *
  when code * : MORN|MORN.early|MORN.late|NOON|AFT|AFT.early|AFT.late|EVE|EVE.early|EVE.late|NIGHT|PHS|HS|WAKE|C|CM|CD|CV|AC|ACM|ACD|ACV|PC|PCM|PCD|PCV
  offset unsignedInt
ContactDetail < Element
  name string
  telecom ContactPoint *
Contributor < Element
  type code ! : author|editor|reviewer|endorser
  name string !
  contact ContactDetail *
DataRequirement < Element
  type code !
  profile canonical *
  subject[x] CodeableConcept|Reference
  mustSupport string *
  codeFilter . *
  dateFilter . *
  limit positiveInt
  sort . *
DataRequirement.codeFilter < Element
  path string
  searchParam string
  valueSet canonical
  code Coding *
DataRequirement.dateFilter < Element
  path string
  searchParam string
  value[x] dateTime|Period|Duration
DataRequirement.sort < Element
  path string !
  direction code ! : ascending|descending
Expression < Element
  description string
  name id
  language code !
  expression string
  reference uri
ParameterDefinition < Element
  name code
  use code ! : in|out
  min integer
  max string
  documentation string
  type code !
  profile canonical
RelatedArtifact < Element
  type code ! : documentation|justification|citation|predecessor|successor|derived-from|depends-on|composed-of
  label string
  display string
  citation markdown
  url url
  document Attachment
  resource canonical
TriggerDefinition < Element
  type code ! : named-event|periodic|data-changed|data-added|data-modified|data-removed|data-accessed|data-access-ended
  name string
  timing[x] Timing|Reference|date|dateTime
  data DataRequirement *
  condition Expression
UsageContext < Element
  code Coding !
  value[x] CodeableConcept|Quantity|Range|Reference !
`
