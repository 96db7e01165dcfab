package fhir

import "github.com/dosewire/dosewire/internal/fault"

// Item returns the untouched bytes of the resource at an entry of a Bundle, or of a bare resource
// whatever item says. CodeStructure when there is no such entry.
func Item(body []byte, item int) ([]byte, error) {
	d, err := Decode(body)
	if err != nil {
		return nil, err
	}
	if d.Type() != "Bundle" {
		return body, nil
	}
	n := 0
	for e := range d.root().get("entry").items() {
		if n == item {
			if resource := e.get("resource"); resource.present() {
				return resource.raw(), nil
			}
			break
		}
		n++
	}
	return nil, fault.Of(fault.CodeStructure).At("Bundle.entry")
}

// OnlyDispense is the entry of a Bundle's first MedicationDispense, 0 for a bare resource or none.
func OnlyDispense(body []byte) int {
	d, err := Decode(body)
	if err != nil || d.Type() != "Bundle" {
		return 0
	}
	n := 0
	for e := range d.root().get("entry").items() {
		if e.get("resource", "resourceType").is("MedicationDispense") {
			return n
		}
		n++
	}
	return 0
}
