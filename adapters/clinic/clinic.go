package clinic

import (
	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/rest"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/streams"
)

// Options has nothing to set yet.
type Options struct{}

// Spec is the adapter. It has nothing to run beside its routes.
func Spec() adapters.Spec { return adapters.Define("clinic", open) }

func open(_ Options, d adapters.Deps) (adapters.Runner, error) {
	s := rest.New(d)
	take := s.Take(streams.TypeBundle, streams.TypeMedicationRequest)
	d.Routes.System("POST /fhir", auth.Clinic, take)
	d.Routes.System("POST /fhir/{$}", auth.Clinic, take)
	d.Routes.System("POST /fhir/$process-message", auth.Clinic, s.Process())
	d.Routes.System("POST /fhir/MedicationRequest", auth.Clinic, s.Take(streams.TypeMedicationRequest))
	d.Routes.System("PUT /fhir/MedicationRequest/{id}", auth.Clinic, s.Amend())
	d.Routes.System("POST /fhir/MedicationDispense", auth.Clinic, s.NotTheirs())
	d.Routes.System("GET /fhir/MedicationRequest/{id}", auth.Clinic, s.ReadRequest())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/_history", auth.Clinic, s.History())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/_history/{version}", auth.Clinic, s.ReadRequest())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/$original", auth.Clinic, s.Original())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/$receipt", auth.Clinic, s.Receipt())
	d.Routes.System("GET /fhir/MedicationDispense/{id}", auth.Clinic, s.ReadDispense())
	d.Routes.System("GET /fhir/MedicationDispense/{id}/_history/{version}", auth.Clinic, s.ReadDispense())
	d.Routes.System("GET /fhir/Bundle/{id}", auth.Clinic, s.ReadBundle())
	d.Routes.System("GET /fhir/Bundle/{id}/_history/{version}", auth.Clinic, s.ReadBundle())
	d.Routes.System("GET /fhir/Task", auth.Clinic, s.SearchTasks())
	d.Routes.System("GET /fhir/Task/{id}", auth.Clinic, s.ReadTask())
	d.Routes.System("POST /fhir/{type}/$validate", auth.Clinic, s.Validate())
	d.Routes.System("GET /fhir/$deliveries", auth.Clinic, s.Deliveries())
	return nil, nil
}
