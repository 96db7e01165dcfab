package recorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/ledger"
)

// quarantineSearch finds the refused messages that are a patient's. Their rows name no patient, and
// often the patient was not known when they were refused: so each is opened and read.
type quarantineSearch struct {
	Keys  *ledger.Keyring
	Store interface {
		ledger.Store
		ledger.Eraser
	}
}

// verdict on a quarantined message.
type verdict uint8

const (
	another verdict = iota // it is somebody else's
	theirs
	unclear // nobody can tell
)

// of returns the places of the patient's messages. What nobody can tell is deleted with them when it came
// from the patient's organisation, or from a pharmacy that was sent the patient's prescriptions: its
// sender was answered, and a copy must not stay behind.
func (s quarantineSearch) of(ctx context.Context, org, patient ledger.ID, pharmacies []ledger.ID) (places []ledger.Place, err error) {
	for after := (ledger.Place{}); ; {
		page, err := s.Store.Quarantine(ctx, after, 200)
		if err != nil || len(page) == 0 {
			return places, err
		}
		for _, q := range page {
			after = ledger.Place{Epoch: q.Epoch, Seq: q.Seq, Sub: q.Sub}
			v, err := s.judge(ctx, q, patient)
			if err != nil {
				return nil, err
			}
			if v == theirs || v == unclear && (q.Org == org || slices.Contains(pharmacies, q.Org)) {
				places = append(places, after)
			}
		}
	}
}

func (s quarantineSearch) judge(ctx context.Context, q ledger.Quarantined, patient ledger.ID) (verdict, error) {
	key, err := s.Keys.Key(ctx, q.KeyID)
	if errors.Is(err, ledger.ErrErased) {
		return another, nil // nobody can read it any more
	}
	if err != nil {
		return unclear, err
	}
	// The header under which it was sealed has an id that the row does not keep.
	body, err := ledger.OpenQuarantined(key, q)
	if err != nil {
		return unclear, nil
	}
	if bytes.Contains(body, []byte(patient.String())) {
		return theirs, nil
	}
	if q.Org == (ledger.ID{}) {
		return another, nil // a fact about somebody or something else
	}
	v := another
	for _, m := range messagesOf(body) {
		one, err := s.message(ctx, q.Org, m, patient)
		if err != nil || one == theirs {
			return one, err
		}
		v = max(v, one)
	}
	return v, nil
}

// messagesOf reads a body as far as it can be read: nil stands for a part that cannot.
func messagesOf(body []byte) (all []*fhir.Message) {
	defer func() {
		if recover() != nil {
			all = append(all, nil)
		}
	}()
	doc, err := fhir.Decode(body)
	if err != nil {
		return []*fhir.Message{nil}
	}
	if doc.BundleType() == "batch" {
		bodies, _ := fhir.Split(doc)
		for _, b := range bodies {
			all = append(all, messagesOf(b)...)
		}
		return all
	}
	read, _ := fhir.Read(doc)
	return []*fhir.Message{&read}
}

// message finds out whose a message is: by its subject, else by what it cites.
func (s quarantineSearch) message(ctx context.Context, org ledger.ID, m *fhir.Message, patient ledger.ID) (verdict, error) {
	if m == nil {
		return unclear, nil
	}
	v := unclear
	if index := patientKeys(s.Keys, org, m.Subject); len(index) > 0 {
		v = another
		for _, key := range index { // one known name is enough
			found, ok, err := s.Keys.Find(ctx, []ledger.PatientRef{{Org: org, Index: []ledger.Key{key}}})
			if err != nil {
				return unclear, err
			}
			if ok[0] && found[0].Patient == patient {
				return theirs, nil
			}
		}
	}
	var w ledger.Want
	for _, d := range m.Dispenses {
		for _, c := range d.Cites {
			for _, text := range c.IDs {
				if id, err := uuid.Parse(text); err == nil {
					w.Prescriptions = append(w.Prescriptions, id)
				}
			}
			w.Citations = append(w.Citations, citationKeys(s.Keys, org, c)...)
		}
	}
	if len(w.Prescriptions)+len(w.Citations) == 0 {
		return v, nil
	}
	have, err := s.Store.Load(ctx, w)
	if err != nil {
		return unclear, err
	}
	for _, p := range have.Prescriptions {
		if p.Patient == patient {
			return theirs, nil
		}
		v = another
	}
	if len(have.Prescriptions) == 0 {
		v = unclear
	}
	return v, nil
}

// QuarantinedOf returns the places of the quarantined messages that an erasure of the patient would
// delete: the patient's, and those of which nobody can tell that come from org or one of the pharmacies.
func QuarantinedOf(ctx context.Context, k *ledger.Keyring, s interface {
	ledger.Store
	ledger.Eraser
}, org, patient ledger.ID, pharmacies []ledger.ID) ([]ledger.Place, error) {
	return quarantineSearch{Keys: k, Store: s}.of(ctx, org, patient, pharmacies)
}

// quarantinePerDay is how many bytes of refused messages are kept of one organisation in a day (UTC),
// counted from the recorder's start at the earliest. Of what comes beyond it a digest is kept.
const quarantinePerDay = 16 << 20

// allowance counts what is kept in quarantine of each organisation today.
type allowance struct {
	day   int64 // unix days
	spent map[ledger.ID]int
}

func (a *allowance) clone() allowance { return allowance{a.day, maps.Clone(a.spent)} }

// take reports whether n more bytes of org may be kept, and counts them.
func (a *allowance) take(org ledger.ID, day int64, n int) bool {
	if a.spent == nil || day > a.day {
		a.day, a.spent = day, map[ledger.ID]int{}
	}
	if a.spent[org]+n > quarantinePerDay {
		return false
	}
	a.spent[org] += n
	return true
}

// digest stands in quarantine for a body that is not kept: its sender can show which one it was.
func digest(body []byte) []byte {
	return fmt.Appendf(nil, `{"sha256":"%x","bytes":%d}`, sha256.Sum256(body), len(body))
}
