package recorder

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

func sealedUnit() *unit {
	id := ledger.ID{6: 0x70, 8: 0x80, 15: 1}
	key := ledger.PatientKey{Patient: id, Org: id, KeyID: id, Key: bytes.Repeat([]byte{1}, ledger.KeySize)}
	u := &unit{message: &streams.Message{}, of: 1, body: bytes.Repeat([]byte("x"), 2048), named: "m-4711", at: 1_790_000_000_000, claim: 3, noted: 1, patient: key,
		issues: []fhir.Issue{{Severity: "warning", Code: "informational", ID: "dom-6", Text: "should have narrative", Expression: "MedicationRequest"}}}
	u.result = result{fate: recorded, record: ledger.Record{ID: id, Type: "MedicationRequest", Version: 1, Of: id}}
	return u
}

func TestCircumstances(t *testing.T) {
	for _, named := range []string{"m-4711", "", "\xff<&>"} {
		u := sealedUnit()
		u.named, u.message.Part, u.sub, u.of, u.match, u.about, u.kind = named, 2, 3, 7, 9, u.result.record.ID, "due"
		u.weighed = &weighed{Blind: true, Orders: []weighedOrder{{}, {Signal: true, Found: []string{"DUPTHPY code"}}}}
		u.words, u.unread = words{[]int{1}, []int{0, 2}}, true
		u.shown, u.right, u.proof.Prescription = true, true, u.result.record.ID
		u.proof.Locator = collect.Locator(u.proof.Prescription, 7)
		c, err := parseCircumstances(u.evidenceOf())
		if err != nil {
			t.Fatal(err)
		}
		got := &unit{message: &streams.Message{}}
		c.restore(got)
		got.at, got.noted, got.body, got.patient, got.result = c.At, len(got.issues), u.body, u.patient, u.result
		u.message.Time = got.message.Time
		if !reflect.DeepEqual(got, u) {
			t.Errorf("got  %+v\nwant %+v", got, u)
		}
	}
	for _, bad := range []string{"", "{}", `{"v":1,"policy":"record"}`, `{"message":{"v":2}}`, `{"message":{"v":1,"new":1}}`} {
		if _, err := parseCircumstances([]byte(bad)); !errors.Is(err, errCircumstances) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestDerivedID(t *testing.T) {
	record := ledger.ID{0x01, 0x99, 0, 0, 0, 7, 0x7a, 1, 0x8b, 2, 3, 4, 5, 6, 7, 8}
	first := derivedID(record, 1)
	if got := first.String(); got != "01990000-0007-795e-943e-a54a4ab6073f" {
		t.Errorf("derived %s", got)
	}
	if derivedID(record, 2) == first || first.Version() != 7 {
		t.Error("not an id of its own")
	}
}

// BenchmarkSeal measures the sealing of 2 kB with the circumstances, beside the same bytes alone.
func BenchmarkSeal(b *testing.B) {
	u := sealedUnit()
	b.Run("bytes alone", func(b *testing.B) {
		rec := u.result.record
		rec.KeyID = u.patient.KeyID
		for b.Loop() {
			if _, err := ledger.Seal(u.patient, &rec, u.body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("with circumstances", func(b *testing.B) {
		for b.Loop() {
			if err := sealUnit(u, 1); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(u.evidenceOf())), "evidence-B")
	})
}
