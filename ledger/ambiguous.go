package ledger

// Ambiguous reports whether the index keys of ref belong to more than one patient. It knows only what
// Patients has seen, and is for a warning: the patient is that of the first key, whatever it says.
func (k *Keyring) Ambiguous(ref PatientRef) bool {
	c := k.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	var first ID
	for _, key := range ref.Index {
		switch patient, ok := c.index.get(key); {
		case !ok:
		case first == (ID{}):
			first = patient
		case patient != first:
			return true
		}
	}
	return false
}
