// Package pharmacy is the REST of pharmacies: receive prescriptions by pulling, claim, hand over.
//
//	POST /fhir                                  a Bundle of MedicationDispenses, or a bare one
//	POST /fhir/MedicationDispense
//	POST /fhir/MedicationRequest                a proposal with priorPrescription: asks the clinic for a renewal
//	POST /fhir/MedicationRequest/$collect       a MedicationDispense with a collect code in Rx-Collect
//	GET  /fhir/MedicationDispense/{id}          also with _history/{version}
//	GET  /fhir/Bundle/{id}                      a message that it sent, also with _history/1
//	GET  /fhir/MedicationRequest/{id}           of what was delivered to it and is not another's now
//	GET  /fhir/MedicationRequest/{id}/_history/{version}
//	GET  /fhir/MedicationRequest/{id}/$original untouched bytes
//	GET  /fhir/MedicationRequest/{id}/_history  its versions, newest first
//	GET  /fhir/Task/{id}                        how it stands; the Task has the prescription's id
//	GET  /fhir/Task                             by focus, _id, status, owner, _lastUpdated
//	POST /fhir/{type}/$validate                 what base R4 says of any resource; nothing is recorded
//	GET  /fhir/$deliveries
//
// What it promises is in adapters/rest. Pharmacies that speak NATS follow their durable consumer
// org-<org>, which the hub makes, and need none of this.
package pharmacy
