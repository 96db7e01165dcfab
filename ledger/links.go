package ledger

import "context"

// PatientLink says that a patient is one of those that belong to one person: each a patient of one
// organisation, joined by the person alone (docs/linking.md). A person has two patients or more, and a patient
// belongs to one person at most.
type PatientLink struct {
	Patient ID
	Person  ID // the record that began it; zero ends the patient's link
}

// MaxLinked bounds how many patients one person may have.
const MaxLinked = 64

// Links reads who belongs together. Organisations are never told.
type Links interface {
	// Linked returns for each of these patients all that belong to the same person, itself among them, in the
	// order of their ids. A patient who is linked with nobody is absent.
	Linked(ctx context.Context, patients []ID) (map[ID][]ID, error)
	// Links returns every link of the persons to which these patients belong, by patient; with nil every link.
	Links(ctx context.Context, patients []ID) ([]PatientLink, error)
}
