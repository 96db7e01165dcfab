package fault

import "sync"

// Code is a stable name that clients may program against. It never changes its meaning.
type Code string

// Codes a client can meet, in the order of docs/errors.md.
const (
	// The request as such.
	CodeTooLarge        Code = "RX_TOO_LARGE"
	CodeMediaType       Code = "RX_MEDIA_TYPE"
	CodeUnauthenticated Code = "RX_UNAUTHENTICATED"
	CodeForbidden       Code = "RX_FORBIDDEN"
	CodeNotFound        Code = "RX_NOT_FOUND"
	CodeMethod          Code = "RX_METHOD_NOT_ALLOWED"
	CodeErased          Code = "RX_ERASED"
	CodeBusy            Code = "RX_BUSY"
	CodeReads           Code = "RX_TOO_MANY_READS"
	CodePending         Code = "RX_PENDING"
	CodeDamaged         Code = "RX_DAMAGED"
	CodeNotSigned       Code = "RX_NOT_SIGNED"
	CodeUnavailable     Code = "RX_UNAVAILABLE"
	CodeInternal        Code = "RX_INTERNAL"

	// The text of the message.
	CodeSyntax       Code = "RX_SYNTAX"
	CodeEncoding     Code = "RX_ENCODING"
	CodeDuplicateKey Code = "RX_DUPLICATE_KEY"
	CodeDepth        Code = "RX_DEPTH"
	CodeNodes        Code = "RX_NODES"

	// The FHIR content.
	CodeResourceType   Code = "RX_RESOURCE_TYPE"
	CodeStructure      Code = "RX_STRUCTURE"
	CodeUnknown        Code = "RX_UNKNOWN_ELEMENT"
	CodeRequired       Code = "RX_REQUIRED"
	CodeValue          Code = "RX_VALUE"
	CodeCode           Code = "RX_CODE"
	CodeInvariant      Code = "RX_INVARIANT"
	CodeModifier       Code = "RX_MODIFIER_EXTENSION"
	CodeReference      Code = "RX_REFERENCE"
	CodeMarkup         Code = "RX_MARKUP"
	CodeProfile        Code = "RX_PROFILE"
	CodeProfileUnknown Code = "RX_PROFILE_UNKNOWN"
	CodeReferenceType  Code = "RX_REFERENCE_TYPE"

	// The hub's own rules.
	CodeNoMessageID   Code = "RX_NO_MESSAGE_ID"
	CodeMessageID     Code = "RX_MESSAGE_ID"
	CodeParameter     Code = "RX_PARAMETER"
	CodeIDReused      Code = "RX_ID_REUSED"
	CodeNoIdentity    Code = "RX_NO_IDENTITY"
	CodeNoPatient     Code = "RX_NO_PATIENT"
	CodeOnePatient    Code = "RX_ONE_PATIENT"
	CodeIncomplete    Code = "RX_INCOMPLETE"
	CodeNotAnOrder    Code = "RX_NOT_AN_ORDER"
	CodeNothing       Code = "RX_NOTHING_TO_DO"
	CodeStatus        Code = "RX_STATUS"
	CodeSender        Code = "RX_SENDER"
	CodeUnresolved    Code = "RX_PRESCRIPTION_UNRESOLVED"
	CodePoison        Code = "RX_QUARANTINED"
	CodeNotServed     Code = "RX_NOT_SERVED"
	CodeFact          Code = "RX_FACT"
	CodeOrganization  Code = "RX_ORGANIZATION"
	CodeIdentifierUse Code = "RX_IDENTIFIER_IN_USE"
	CodeRetention     Code = "RX_RETENTION"
	CodeLegalHold     Code = "RX_LEGAL_HOLD"

	// The prescriber's signature.
	CodeSignatureRequired  Code = "RX_SIGNATURE_REQUIRED"
	CodeSignatureMalformed Code = "RX_SIGNATURE_MALFORMED"
	CodeSignatureHeader    Code = "RX_SIGNATURE_NOT_TAKEN"
	CodeSignatureMismatch  Code = "RX_SIGNATURE_MISMATCH"
	CodeSignatureUntrusted Code = "RX_SIGNATURE_UNTRUSTED"
	CodeSignatureExpired   Code = "RX_SIGNATURE_EXPIRED"
	CodeSignatureSigner    Code = "RX_SIGNATURE_SIGNER"
	CodeSignatureContent   Code = "RX_SIGNATURE_CONTENT"

	// The prescription's life.
	CodeHeldByOther   Code = "RX_HELD_BY_OTHER"
	CodeNotHolder     Code = "RX_NOT_HOLDER"
	CodeStaleClaim    Code = "RX_STALE_CLAIM"
	CodeOnHold        Code = "RX_ON_HOLD"
	CodeCancelled     Code = "RX_CANCELLED"
	CodeCancelPending Code = "RX_CANCEL_PENDING"
	CodeReplaced      Code = "RX_REPLACED"
	CodeCompleted     Code = "RX_COMPLETED"
	CodeExpired       Code = "RX_EXPIRED"
	CodeNotYetValid   Code = "RX_NOT_YET_VALID"
	CodeDispenseUsed  Code = "RX_DISPENSE_ID_USED"
	CodeFrozen        Code = "RX_FROZEN"
	CodeFillTooEarly  Code = "RX_FILL_TOO_EARLY"
	CodeSubstitution  Code = "RX_SUBSTITUTION"
	CodeDirected      Code = "RX_PRESCRIBER_DIRECTED"
	CodeControlled    Code = "RX_CONTROLLED"
	CodeCollectCode   Code = "RX_COLLECT_CODE"
	CodeAttempts      Code = "RX_TOO_MANY_CODES"
	CodeVersion       Code = "RX_VERSION"

	// Information and warnings: the message was recorded.
	CodeRecorded        Code = "RX_RECORDED"
	CodeExists          Code = "RX_EXISTS"
	CodeNoDosage        Code = "RX_NO_DOSAGE"
	CodeNoPrescriberID  Code = "RX_NO_PRESCRIBER_ID"
	CodeUnknownPharmacy Code = "RX_UNKNOWN_PHARMACY"
	CodeAmbiguous       Code = "RX_PATIENT_AMBIGUOUS"
	CodeOptionalRef     Code = "RX_UNRESOLVED_REFERENCE"
	CodeInpatient       Code = "RX_NOT_ROUTED"
	CodeHistoryOnly     Code = "RX_HISTORY_ONLY"
	CodeFlagged         Code = "RX_FLAGGED"
	CodeTombstone       Code = "RX_TOMBSTONE"
	CodeNotRouted       Code = "RX_RECORD_ONLY"
	CodeLeaseEnding     Code = "RX_LEASE_ENDING"
	CodeUndelivered     Code = "RX_UNDELIVERED"
	CodeSafetySignal    Code = "RX_SAFETY_SIGNAL"
	CodeSafetyUnchecked Code = "RX_SAFETY_NOT_CHECKED"
	CodeSigned          Code = "RX_SIGNATURE_VERIFIED"
	CodeSignatureUnread Code = "RX_SIGNATURE_UNREAD"
)

// Entry is one line of the catalogue.
type Entry struct {
	Code   Code
	Kind   Kind   // what one can do about it; for information codes the zero value has no meaning
	Status int    // HTTP status of an answer whose worst issue this is
	Issue  string // FHIR R4 IssueType
	Title  string // one sentence, shown to clients; no patient data
	Advice string // what the client does now
	Retry  bool   // the same bytes, sent again, may succeed
}

// Lookup finds a code's line. ok is false for a code that the catalogue does not have.
func Lookup(c Code) (e Entry, ok bool) {
	e, ok = byCode()[c]
	return e, ok
}

// byCode indexes the catalogue on first use; it is never changed.
var byCode = sync.OnceValue(func() map[Code]Entry {
	index := map[Code]Entry{}
	for _, e := range Codes() {
		index[e.Code] = e
	}
	return index
})

// Codes returns the whole catalogue in the order of docs/errors.md.
func Codes() []Entry {
	return []Entry{
		{CodeTooLarge, Invalid, 413, "too-long", "The body is larger than 1 MiB.", "Split the Bundle or drop attachments.", false},
		{CodeMediaType, Invalid, 415, "not-supported", "Only application/fhir+json (FHIR 4.0) is served.", "Send JSON with Content-Type application/fhir+json.", false},
		{CodeUnauthenticated, Denied, 401, "login", "Who is calling is not known.", "Send the bearer token that `dosewire org add` printed.", false},
		{CodeForbidden, Denied, 403, "forbidden", "This organisation may not do this.", "Check which organisation the credentials belong to. A pharmacy that declined a prescription cannot have it.", false},
		{CodeNotFound, NotFound, 404, "not-found", "There is no such resource, or it is not yours to see.", "Check the id.", false},
		{CodeMethod, Invalid, 405, "not-supported", "This interaction is not offered here.", "See the routes in docs/connect-clinic.md and docs/connect-pharmacy.md.", false},
		{CodeErased, NotFound, 410, "deleted", "The record was erased.", "Nothing: the id will not come back.", false},
		{CodeBusy, Unavailable, 503, "throttled", "The hub has as much work as it can hold.", "Send the same request again after the time in Retry-After.", true},
		{CodeReads, Unavailable, 429, "throttled", "This organisation or patient reads more often than the hub allows.", "Wait as long as Retry-After says; read several in one request.", true},
		{CodePending, Unavailable, 503, "timeout", "The message was taken, and may not be recorded yet.", "Send the same request again until it is answered: it is recorded once, and that answer comes.", true},
		{CodeDamaged, Tampered, 500, "exception", "What is stored is not what was written: it is fenced off until it is restored.", "Send the same request again when the operator, who is alarmed, has restored it.", true},
		{CodeNotSigned, Unavailable, 503, "transient", "The record is in the ledger, and no signed checkpoint covers it yet.", "Ask for the receipt again after the time in Retry-After: the next checkpoint covers it.", true},
		{CodeUnavailable, Unavailable, 503, "transient", "The hub cannot record at the moment; nothing was accepted.", "Send the same request again.", true},
		{CodeInternal, Internal, 500, "exception", "Something failed inside the hub.", "Send the same request again; report the correlation id if it stays.", true},

		{CodeSyntax, Invalid, 400, "structure", "The body is not well-formed JSON.", "Mend the text at the line and column named.", false},
		{CodeEncoding, Invalid, 400, "structure", "The body is not valid UTF-8, or has a lone surrogate or a forbidden character.", "Mend the text at the line and column named.", false},
		{CodeDuplicateKey, Invalid, 400, "structure", "A property is given twice in one object.", "Send each property once.", false},
		{CodeDepth, Invalid, 400, "too-costly", "The body is nested deeper than 64 levels.", "Send a flatter resource.", false},
		{CodeNodes, Invalid, 400, "too-costly", "The body has more than 100,000 values.", "Split the Bundle.", false},

		{CodeResourceType, Invalid, 400, "structure", "This resourceType is not taken here.", "Send MedicationRequest, MedicationDispense or a Bundle of them.", false},
		{CodeStructure, Invalid, 422, "structure", "An element has the wrong JSON form.", "Mend the element named in expression.", false},
		{CodeUnknown, Invalid, 422, "structure", "There is no such element in FHIR R4.", "Remove or rename the element at this line and column of the one in expression; names are case-sensitive. A name that FHIR does not have is never repeated.", false},
		{CodeRequired, Invalid, 422, "required", "A required element is absent.", "Add the element named in expression.", false},
		{CodeValue, Invalid, 422, "value", "A value does not have the form that its type demands.", "Mend the element, header or query parameter named in expression.", false},
		{CodeCode, Invalid, 422, "code-invalid", "A code is not in its required value set.", "Use a code of the value set.", false},
		{CodeInvariant, Invalid, 422, "invariant", "A rule of the FHIR specification is broken.", "Mend the element named in expression.", false},
		{CodeModifier, Invalid, 422, "not-supported", "A modifierExtension is present that the hub does not understand.", "Remove it, or ask the operator to have it understood.", false},
		{CodeReference, Invalid, 422, "invalid", "A reference inside the message leads nowhere.", "Add the resource or mend the reference.", false},
		{CodeMarkup, Invalid, 422, "value", "A text holds what looks like HTML tags.", "Send plain text; formatted text belongs into the narrative.", false},
		{CodeProfile, Invalid, 422, "structure", "An element is not as a stated profile demands.", "Mend the element, or do not state the profile.", false},
		{CodeProfileUnknown, Invalid, 422, "not-supported", "A profile that the receiver does not take is stated.", "State a profile that is taken today, or none.", false},
		{CodeReferenceType, Invalid, 422, "structure", "A reference leads to a resource of a type that is not allowed there.", "Refer to one of the types that FHIR names for the element.", false},

		{CodeNoMessageID, Invalid, 400, "required", "Nothing identifies this message.", "Send Idempotency-Key (REST), Nats-Msg-Id (NATS), MessageHeader.id, Bundle.identifier or a business identifier.", false},
		{CodeMessageID, Invalid, 400, "value", "The message id does not begin with the sender's organisation id, or is too long.", "Use <organisation id>.<your id>, at most 256 bytes.", false},
		{CodeParameter, Invalid, 400, "value", "The query is malformed, or a header holds a word that is not known.", "Mend the header or query named in expression.", false},
		{CodeIDReused, Conflict, 409, "duplicate", "The id was used before with other content.", "Use a new id for new content.", false},
		{CodeNoIdentity, Invalid, 422, "required", "The prescription or dispense has neither one business identifier nor an id.", "Give exactly one identifier, or mark one with use=official.", false},
		{CodeNoPatient, Invalid, 422, "required", "The patient cannot be found in the message or among those this organisation sent before.", "Include the Patient, or give subject.identifier.", false},
		{CodeOnePatient, Invalid, 422, "business-rule", "One message carries the data of one patient.", "Send one message for each patient.", false},
		{CodeIncomplete, Invalid, 422, "business-rule", "An element without which no pharmacy can dispense is absent.", "Add the elements named in expression; see docs/hub-rules.md.", false},
		{CodeNotAnOrder, Invalid, 422, "business-rule", "This intent gives no right to a medicine.", "Send an order.", false},
		{CodeNothing, Invalid, 422, "business-rule", "The message holds no prescription and no dispense.", "Send at least one.", false},
		{CodeStatus, Invalid, 422, "business-rule", "This status has no meaning between clinic and pharmacy.", "See the message table in docs/prescription.md.", false},
		{CodeSender, Denied, 403, "forbidden", "This kind of organisation does not send this message.", "Clinics send MedicationRequest, pharmacies MedicationDispense.", false},
		{CodeUnresolved, Invalid, 422, "not-found", "The dispense cites a prescription that was not delivered to this pharmacy.", "Cite the Rx-Id header of the delivery or the prescription's identifier.", true},
		{CodePoison, Invalid, 422, "processing", "The message could not be recorded and is kept in quarantine.", "Report the correlation id to the operator.", false},
		{CodeNotServed, Invalid, 501, "not-supported", "This FHIR interaction is not offered yet.", "See docs/connect-clinic.md and docs/connect-pharmacy.md.", false},
		{CodeFact, Invalid, 400, "invalid", "The hub fact is not understood.", "Only the hub publishes facts; report this.", false},
		{CodeOrganization, NotFound, 404, "not-found", "There is no such organisation.", "Check the id with `dosewire org list`.", false},
		{CodeIdentifierUse, Conflict, 409, "duplicate", "The identifier belongs to another organisation already.", "Check the identifier.", false},
		{CodeRetention, Conflict, 409, "business-rule", "The patient's records must still be kept: the retention period has not ended.", "Wait for its end, or say in words that the law demands it now; see docs/erasure.md.", false},
		{CodeLegalHold, Conflict, 409, "business-rule", "A legal hold stands on the patient's records.", "See `dosewire hold list`; erase when the hold is removed.", false},

		{CodeSignatureRequired, Invalid, 422, "required", "This organisation's messages must be signed, and this one is not.", "Sign the body and send the same message again; see docs/signatures.md.", false},
		{CodeSignatureMalformed, Invalid, 422, "structure", "The signature cannot be read: it is not one detached JWS in compact form with a certificate in x5c.", "Mend the signature; see docs/signatures.md.", false},
		{CodeSignatureHeader, Invalid, 422, "not-supported", "The signature uses an algorithm, a form or a header parameter that is not taken.", "Sign with ES256 or EdDSA and without jwk, jku, x5u and crit; see docs/signatures.md.", false},
		{CodeSignatureMismatch, Denied, 403, "security", "The signature is not of these bytes by this certificate's key.", "Sign exactly the bytes that are sent.", false},
		{CodeSignatureUntrusted, Denied, 403, "security", "The signer's certificate does not lead to a trust anchor of this organisation, or is not for signing.", "Send the intermediates in x5c; ask the operator which trust anchors are set.", false},
		{CodeSignatureExpired, Denied, 403, "security", "A certificate of the signer was not valid when the message arrived.", "Sign with a certificate that is valid now.", false},
		{CodeSignatureSigner, Denied, 403, "security", "The certificate belongs to another person than Provenance.signature.who names.", "Name the signer by an identifier in the certificate.", false},
		{CodeSignatureContent, Invalid, 422, "business-rule", "What is signed is not the whole of what the message asks for.", "Sign the whole body, or a Binary with every resource of the Bundle; see docs/signatures.md.", false},

		{CodeHeldByOther, Conflict, 409, "conflict", "Another pharmacy holds this fill.", "Tell the patient; it may come back if released.", false},
		{CodeNotHolder, Conflict, 409, "conflict", "This pharmacy does not hold the prescription.", "Claim it first, or report the hand-over.", false},
		{CodeStaleClaim, Conflict, 409, "conflict", "The claim named is not the current one.", "Read the present state. If the claim is yours, speak under its dispense identifier or its number; else claim again.", false},
		{CodeOnHold, Conflict, 409, "conflict", "The clinic has put the prescription on hold.", "Ask the clinic, or wait for its release and send it under a new message id.", false},
		{CodeCancelled, Conflict, 409, "conflict", "The prescription was cancelled.", "Do not dispense.", false},
		{CodeCancelPending, Conflict, 409, "conflict", "The clinic wants this prescription cancelled.", "Release it, or report the hand-over if it happened.", false},
		{CodeReplaced, Conflict, 409, "conflict", "The prescription was replaced by a newer one.", "Use the newer one.", false},
		{CodeCompleted, Conflict, 409, "conflict", "No fills are left.", "Ask for a renewal.", false},
		{CodeExpired, Conflict, 409, "conflict", "The prescription's validity has ended.", "Ask for a new one.", false},
		{CodeNotYetValid, Conflict, 409, "conflict", "The prescription's validity has not begun.", "Claim it when it begins, under a new message id.", false},
		{CodeDispenseUsed, Conflict, 409, "duplicate", "This dispense identifier served an earlier claim.", "Use a new identifier for a new claim.", false},
		{CodeFrozen, Conflict, 409, "business-rule", "A pharmacy works by this prescription: it can no longer be amended.", "Replace it with priorPrescription.", false},
		{CodeFillTooEarly, Conflict, 409, "business-rule", "The interval between two fills (dispenseInterval) is not over.", "Wait and send it under a new message id, or say why not in detectedIssue with a mitigation.", false},
		{CodeSubstitution, Conflict, 409, "business-rule", "The order does not allow another product.", "Dispense what was ordered, or say why not in detectedIssue with a mitigation.", false},
		{CodeDirected, Conflict, 409, "business-rule", "The prescriber has chosen the pharmacy.", "Ask the clinic.", false},
		{CodeControlled, Conflict, 409, "business-rule", "A controlled drug is recorded and not routed here.", "Use the way that the law asks for.", false},
		{CodeCollectCode, Conflict, 409, "conflict", "This collect code does not open the prescription.", "Ask the patient for the present code; after five wrong ones it is dead.", false},
		{CodeAttempts, Unavailable, 429, "throttled", "This organisation has shown too many wrong collect codes.", "Wait an hour, and look at how codes are read in.", true},
		{CodeVersion, Conflict, 412, "conflict", "If-Match names another version than the present one.", "Read the prescription and amend that.", false},

		{CodeRecorded, Internal, 201, "informational", "Recorded.", "", false},
		{CodeExists, Internal, 200, "informational", "A prescription with this identifier exists: nothing new was recorded.", "Use the one at Location.", false},
		{CodeNoDosage, Internal, 201, "informational", "The order has no dosage: pharmacist and patient are told to look for it on paper.", "Send dosageInstruction.", false},
		{CodeNoPrescriberID, Internal, 201, "informational", "The prescriber has no identifier.", "Send Practitioner.identifier.", false},
		{CodeUnknownPharmacy, Internal, 201, "informational", "The pharmacy named is not known here: the prescription waits for the patient's choice.", "Check dispenseRequest.performer.", false},
		{CodeAmbiguous, Internal, 201, "informational", "The patient's identifiers belong to several patients that you sent before: the first one's patient was taken.", "Check which patient is meant; two records of one person are not joined here.", false},
		{CodeOptionalRef, Internal, 201, "informational", "A reference to something outside the message could not be followed.", "", false},
		{CodeInpatient, Internal, 201, "informational", "Recorded and not routed: this order is not for a community pharmacy.", "", false},
		{CodeHistoryOnly, Internal, 201, "informational", "Recorded as this pharmacy's history: it cites no prescription, so no fill was used.", "", false},
		{CodeFlagged, Internal, 201, "informational", "Recorded, and flagged because it conflicts with the prescription's state.", "Check the present state.", false},
		{CodeTombstone, Internal, 201, "informational", "Nothing with this identifier was issued yet: a later issue will be born cancelled.", "", false},
		{CodeNotRouted, Internal, 201, "informational", "Recorded and not routed: the order is for a controlled drug, and this organisation has no policy for them.", "", false},
		{CodeLeaseEnding, Internal, 201, "informational", "The hold of this fill ends within a day.", "Send the present status again, or report the hand-over.", false},
		{CodeUndelivered, Internal, 201, "informational", "The pharmacy has not fetched the prescription yet.", "Call the pharmacy, or have the patient choose another.", false},
		{CodeSafetySignal, Internal, 201, "informational", "Recorded. The order may double another active therapy, or meet an allergy that was stated with it: a DetectedIssue says which.", "Look at the DetectedIssue that was delivered.", false},
		{CodeSafetyUnchecked, Internal, 201, "informational", "Recorded. Doubles and allergies could not be checked.", "Check them by other means.", false},
		{CodeSigned, Internal, 201, "informational", "The signature was verified and is recorded with the message.", "", false},
		{CodeSignatureUnread, Internal, 201, "informational", "A signature was sent and not looked at: none is asked of this organisation.", "Ask the operator to set trust anchors.", false},
	}
}
