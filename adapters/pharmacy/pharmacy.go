package pharmacy

import (
	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/rest"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/streams"
)

// Options has nothing to set yet.
type Options struct{}

// Spec is the adapter. It has nothing to run beside its routes.
func Spec() adapters.Spec { return adapters.Define("pharmacy", open) }

func open(_ Options, d adapters.Deps) (adapters.Runner, error) {
	s := rest.New(d)
	// a MedicationRequest of a pharmacy asks for a renewal; the recorder judges
	take := s.Take(streams.TypeBundle, streams.TypeMedicationDispense, streams.TypeMedicationRequest)
	d.Routes.System("POST /fhir", auth.Pharmacy, take)
	d.Routes.System("POST /fhir/{$}", auth.Pharmacy, take)
	d.Routes.System("POST /fhir/MedicationRequest", auth.Pharmacy, s.Take(streams.TypeMedicationRequest))
	d.Routes.System("POST /fhir/MedicationRequest/$collect", auth.Pharmacy, s.Collect())
	d.Routes.System("POST /fhir/MedicationDispense", auth.Pharmacy, s.Take(streams.TypeMedicationDispense))
	d.Routes.System("GET /fhir/MedicationDispense/{id}", auth.Pharmacy, s.ReadDispense())
	d.Routes.System("GET /fhir/MedicationDispense/{id}/_history/{version}", auth.Pharmacy, s.ReadDispense())
	d.Routes.System("GET /fhir/Bundle/{id}", auth.Pharmacy, s.ReadBundle())
	d.Routes.System("GET /fhir/Bundle/{id}/_history/{version}", auth.Pharmacy, s.ReadBundle())
	d.Routes.System("GET /fhir/MedicationRequest/{id}", auth.Pharmacy, s.ReadRequest())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/_history", auth.Pharmacy, s.History())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/_history/{version}", auth.Pharmacy, s.ReadRequest())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/$original", auth.Pharmacy, s.Original())
	d.Routes.System("GET /fhir/MedicationRequest/{id}/$receipt", auth.Pharmacy, s.Receipt())
	d.Routes.System("GET /fhir/Task", auth.Pharmacy, s.SearchTasks())
	d.Routes.System("GET /fhir/Task/{id}", auth.Pharmacy, s.ReadTask())
	d.Routes.System("POST /fhir/{type}/$validate", auth.Pharmacy, s.Validate())
	d.Routes.System("GET /fhir/$deliveries", auth.Pharmacy, s.Deliveries())
	return nil, nil
}
