package streams

import "strings"

// Streams of DESIGN §5.
const (
	Intake   = "RX_INTAKE"
	Delivery = "RX_DELIVERY"
	Push     = "PUSH"
	Dead     = "RX_DEAD"
)

// Headers. An organisation sets MsgID and the W3C trace context; of the Rx headers only those that
// the protocol names for it (Claim, Collect, Match with ID) are believed when it sends them, and
// Signature as far as it verifies.
const (
	HeaderMsgID       = "Nats-Msg-Id"
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"
	HeaderIndex       = "Rx-Index"             // ledger index of the entry behind a delivery; absent for refusals
	HeaderLeaf        = "Rx-Leaf"              // its leaf hash, hex
	HeaderDelivery    = "Rx-Delivery"          // number of the effect: the cursor of GET /fhir/$deliveries
	HeaderID          = "Rx-Id"                // prescription id, when the message concerns exactly one
	HeaderClaim       = "Rx-Claim"             // claim number: the fence
	HeaderMatch       = "Rx-If-Match"          // version of the prescription that an order amends; from an organisation
	HeaderCollect     = "Rx-Collect"           // collect code shown with a dispense: locator.HMAC-SHA-256(secret, SHA-256(body)); from a pharmacy
	HeaderNoneExist   = "Rx-If-None-Exist"     // keyed hash of the identifier of a conditional create; made by the hub
	HeaderState       = "Rx-State"             // the prescription's state after the decision
	HeaderCause       = "Rx-Cause"             // intake sequence (PubAck.seq) of the message that brought this delivery
	HeaderUrgent      = "Rx-Urgent"            // on a wake: quiet hours do not hold it back
	HeaderSignature   = "Rx-Signature"         // detached JWS of the body, by the sender's prescriber
	HeaderSafety      = "Rx-Safety"            // on an order's delivery to a pharmacy: what it was checked by, one for each
	HeaderVerdict     = "Rx-Signature-Verdict" // on a delivery: verified, absent, or failed;reason=<reason>
	HeaderReply       = "Rx-Reply"             // where the hub itself waits for the answer; ignored unless under ReplyPrefix
)

// ReplyPrefix begins the inboxes on which only the hub may listen.
const ReplyPrefix = "_INBOX.hub."

// Resource types that an organisation may publish.
const (
	TypeMedicationRequest  = "MedicationRequest"
	TypeMedicationDispense = "MedicationDispense"
	TypeBundle             = "Bundle"
)

const intakePrefix = "rx.intake."

// IntakeSubject is where an organisation publishes a resource of the type.
func IntakeSubject(org, resourceType string) string { return intakePrefix + org + "." + resourceType }

// FactSubject is where the hub publishes its own facts.
func FactSubject(kind string) string { return "rx.fact." + kind }

// DeliverySubject is where an organisation receives.
func DeliverySubject(org, resourceType, record string) string {
	return "rx.deliver." + org + "." + resourceType + "." + record
}

// PushSubject is the wake of one device; the stream keeps the newest only.
func PushSubject(transport, device string) string { return "push." + transport + "." + device }

// LiveSubject is the core NATS subject (no stream) that says: something changed for this patient.
func LiveSubject(patient string) string { return "live." + patient }

// ConsumerName is the durable of an organisation on RX_DELIVERY.
func ConsumerName(org string) string { return "org-" + org }

// Source is what an intake subject says: who sent what. Kind is set for facts, Org and Type for
// organisations' messages.
type Source struct{ Org, Type, Kind string }

// ParseIntake reads a subject of RX_INTAKE. ok is false for any other subject.
func ParseIntake(subject string) (src Source, ok bool) {
	parts := strings.Split(subject, ".")
	switch {
	case len(parts) == 4 && parts[0] == "rx" && parts[1] == "intake":
		return Source{Org: parts[2], Type: parts[3]}, true
	case len(parts) == 3 && parts[0] == "rx" && parts[1] == "fact":
		return Source{Kind: parts[2]}, true
	}
	return Source{}, false
}
