package fhir_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
)

// BenchmarkMedicationRequest measures one prescription as the hub takes it in, beside SHA-256 of the
// same bytes.
func BenchmarkMedicationRequest(b *testing.B) {
	body := ours(b, "medicationrequest.json")
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			sha256.Sum256(body)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := fhir.Decode(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode+validate", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d, err := fhir.Decode(body)
			if err != nil || fhir.Validate(d) != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode+validate, reused", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		var decoder fhir.Decoder
		for b.Loop() {
			d, err := decoder.Decode(body)
			if err != nil || fhir.Validate(d) != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode+validate+read+complete", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d, err := fhir.Decode(body)
			if err != nil || fhir.Validate(d) != nil {
				b.Fatal(err)
			}
			m, _ := fhir.Read(d)
			fhir.Complete(d, m.Requests[0])
		}
	})
}

// ours reads one of our own examples.
func ours(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// BenchmarkAgainstSHA256 takes turns between hashing a body and judging it, so that whatever else the machine
// does meets both, and reports the quickest of each as ratios. GODEBUG=cpu.sha=off takes the CPU's SHA
// instructions away.
func BenchmarkAgainstSHA256(b *testing.B) {
	body := ours(b, "medicationrequest.json")
	var decoder fhir.Decoder
	judge := func(decode func([]byte) (*fhir.Document, error)) {
		d, err := decode(body)
		if err != nil || fhir.Validate(d) != nil {
			b.Fatal(err)
		}
	}
	const hash, fresh, reused = 0, 1, 2
	quickest := [...]time.Duration{hash: time.Hour, fresh: time.Hour, reused: time.Hour}
	work := [...]func(){
		hash:   func() { sha256.Sum256(body) },
		fresh:  func() { judge(fhir.Decode) },
		reused: func() { judge(decoder.Decode) },
	}
	for b.Loop() {
		for i, do := range work {
			began := time.Now()
			do()
			quickest[i] = min(quickest[i], time.Since(began))
		}
	}
	b.ReportMetric(float64(quickest[fresh])/float64(quickest[hash]), "fresh/sha256")
	b.ReportMetric(float64(quickest[reused])/float64(quickest[hash]), "reused/sha256")
}
