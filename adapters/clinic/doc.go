// Package clinic is the REST of clinics: issue, hold and cancel prescriptions, read them back, pull
// dispenses and outcomes.
//
//	POST /fhir, POST /fhir/$process-message     a Bundle (message, transaction, document, collection, batch) or a bare resource
//	POST /fhir/MedicationRequest
//	GET  /fhir/MedicationRequest/{id}           with id, meta and the state tag spliced in
//	GET  /fhir/MedicationRequest/{id}/_history/{version}
//	GET  /fhir/MedicationRequest/{id}/$original untouched bytes
//	GET  /fhir/MedicationDispense/{id}
//	GET  /fhir/$deliveries
//
// What it promises is in adapters/rest. A clinic sees what it issued and the dispenses for it, nothing
// else. Clinics that speak NATS need none of this.
package clinic
