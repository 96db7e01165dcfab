// Package clinic is the REST of clinics: issue, hold and cancel prescriptions, read them back, pull
// dispenses and outcomes.
//
//	POST /fhir                                  a Bundle (message, transaction, document, collection, batch) or a bare MedicationRequest
//	POST /fhir/$process-message                 a message Bundle
//	POST /fhir/MedicationRequest                also with If-None-Exist: identifier=system|value
//	PUT  /fhir/MedicationRequest/{id}           with If-Match: other content for what no pharmacy works by
//	GET  /fhir/MedicationRequest/{id}           with id, meta and the state tag spliced in
//	GET  /fhir/MedicationRequest/{id}/_history/{version}
//	GET  /fhir/MedicationRequest/{id}/$original untouched bytes
//	GET  /fhir/MedicationDispense/{id}          also with _history/{version}
//	GET  /fhir/Bundle/{id}                      a message that it sent, also with _history/1
//	GET  /fhir/MedicationRequest/{id}/_history  its versions, newest first
//	GET  /fhir/Task/{id}                        how it stands; the Task has the prescription's id
//	GET  /fhir/Task                             by focus, _id, status, owner, _lastUpdated
//	POST /fhir/{type}/$validate                 what base R4 says of any resource; nothing is recorded
//	GET  /fhir/$deliveries
//
// What it promises is in adapters/rest. A clinic sees what it issued and the dispenses for it, nothing
// else. Clinics that speak NATS need none of this.
package clinic
