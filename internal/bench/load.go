package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// patients is how many people the hub knows before anything is measured. Of the prescriptions measured
// one in newPatient is for somebody new.
const (
	patients   = 2000
	newPatient = 20
	medicines  = 200
)

// medicine is what prescription number n of a run is for. A patient takes something else each time, for a long
// while, so that few prescriptions are doubles.
func medicine(run string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(run))
	return (n + n/patients + int(h.Sum32()%medicines)) % medicines
}

// order is prescription number n of a run: about 2 kB, its own identifier, one of the patients.
func order(run string, n int) []byte {
	p := strconv.Itoa(n % patients)
	if n%newPatient == 0 && run != "warm" {
		p = run + "-" + strconv.Itoa(n)
	}
	return fmt.Appendf(nil, `{
  "resourceType": "MedicationRequest",
  "id": "rx-%[1]s-%[2]d",
  "contained": [
    {"resourceType": "Patient", "id": "pat",
      "identifier": [{"use": "official", "system": "https://clinic.example/mrn", "value": "MRN-%[3]s"}],
      "name": [{"use": "official", "family": "Bench%[3]s", "given": ["Person"]}],
      "gender": "female", "birthDate": "1970-01-02",
      "address": [{"line": ["1 Test Street"], "city": "Millbrook", "postalCode": "00000", "country": "US"}]},
    {"resourceType": "Practitioner", "id": "prac",
      "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1093817465"}],
      "name": [{"family": "Okafor", "given": ["Ngozi"], "prefix": ["Dr"]}]},
    {"resourceType": "Medication", "id": "med",
      "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "%[4]d", "display": "medicine %[4]d 500 MG Oral Capsule"}],
        "text": "Medicine %[4]d 500 mg capsules"}}
  ],
  "identifier": [{"use": "official", "system": "https://clinic.example/prescription", "value": "%[1]s-%[2]d"}],
  "status": "active", "intent": "order", "priority": "routine",
  "medicationReference": {"reference": "#med"},
  "subject": {"reference": "#pat"},
  "authoredOn": "2026-11-16T09:12:00-05:00",
  "requester": {"reference": "#prac"},
  "note": [{"text": "Finish the whole course, also when the symptoms are gone."}],
  "dosageInstruction": [{"sequence": 1, "text": "Take one capsule three times a day for seven days",
    "timing": {"repeat": {"boundsDuration": {"value": 7, "unit": "day", "system": "http://unitsofmeasure.org", "code": "d"}, "frequency": 3, "period": 1, "periodUnit": "d"}},
    "route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route"}]},
    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "capsule", "system": "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm", "code": "CAP"}}]}],
  "dispenseRequest": {"validityPeriod": {"start": "2026-01-01", "end": "2030-12-31"}, "numberOfRepeatsAllowed": 0,
    "quantity": {"value": 21, "unit": "capsule", "system": "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm", "code": "CAP"},
    "performer": {"type": "Organization", "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1558203947"}}}
}
`, run, n, p, 308191+medicine(run, n))
}

// sample is one load: how many were answered with success, how fast.
type sample struct {
	Done      int
	Failed    int
	Elapsed   time.Duration
	latencies []time.Duration
	due       []time.Time // of a paced load: when each request was to begin
	stalls    []span      // of a paced load: when the disk did not answer

	Process, Database time.Duration // of a processor, spent by the process that serves and by its database server
}

// each is the part of one request, microseconds.
func (s sample) each(t time.Duration) float64 {
	return float64(t.Microseconds()) / float64(max(s.Done, 1))
}

func (s sample) rate() float64 { return float64(s.Done) / s.Elapsed.Seconds() }

func (s sample) quantile(q float64) time.Duration { return quantile(s.latencies, q) }

// quantile is zero when there are no values.
func quantile[T cmp.Ordered](values []T, q float64) (v T) {
	if len(values) == 0 {
		return v
	}
	values = slices.Sorted(slices.Values(values))
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

// target is where prescriptions are posted.
type target struct {
	url   string
	token string
}

func client(connections int) *http.Client {
	return &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true}}
}

// errBusy: the server says when to come again.
var errBusy = errors.New("status 503")

func post(ctx context.Context, c *http.Client, t target, key string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header["Content-Type"] = []string{"application/fhir+json"}
	r.Header["Idempotency-Key"] = []string{key}
	r.Header["Prefer"] = []string{"return=minimal"}
	if t.token != "" {
		r.Header["Authorization"] = []string{"Bearer " + t.token}
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusCreated:
		return nil
	case http.StatusServiceUnavailable:
		return errBusy
	}
	return fmt.Errorf("status %d", resp.StatusCode)
}

// saturate posts with so many requests in flight for so long.
func saturate(ctx context.Context, c *http.Client, t target, run string, inFlight int, d time.Duration) sample {
	var next, failed atomic.Int64
	perWorker := make([][]time.Duration, inFlight)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range inFlight {
		wg.Go(func() {
			for time.Since(began) < d {
				n := int(next.Add(1))
				body := order(run, n)
				at := time.Now()
				if err := post(ctx, c, t, run+"-"+strconv.Itoa(n), body); err != nil {
					failed.Add(1)
					continue
				}
				perWorker[w] = append(perWorker[w], time.Since(at))
			}
		})
	}
	wg.Wait()
	s := sample{Failed: int(failed.Load()), Elapsed: time.Since(began)}
	for _, l := range perWorker {
		s.Done += len(l)
		s.latencies = append(s.latencies, l...)
	}
	return s
}

// acquaint posts one prescription for each patient that the hub is to know.
func acquaint(ctx context.Context, t target) error { return issue(ctx, t, "warm", patients) }

// issue posts the first total prescriptions of a run.
func issue(ctx context.Context, t target, run string, total int) error {
	c := client(32)
	defer c.CloseIdleConnections()
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for n := w; n < total && errs[w] == nil; n += len(errs) {
				errs[w] = post(ctx, c, t, run+"-"+strconv.Itoa(n), order(run, n))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// claim is the pharmacy's claim of prescription number n of a run.
func claim(run string, n int) []byte {
	return fmt.Appendf(nil, `{
  "resourceType": "MedicationDispense",
  "id": "md-%[1]s-%[2]d",
  "identifier": [{"system": "https://pharmacy.example/dispense", "value": "%[1]s-%[2]d"}],
  "status": "preparation",
  "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "%[3]d"}], "text": "Medicine %[3]d 500 mg capsules"},
  "authorizingPrescription": [{"identifier": {"system": "https://clinic.example/prescription", "value": "%[1]s-%[2]d"}}]
}
`, run, n, 308191+medicine(run, n))
}

// pace posts at a fixed rate, each request started on time whether or not earlier ones are answered,
// so that a stall is seen by all who would have met it.
func pace(ctx context.Context, t target, run string, body func(run string, n int) []byte, perSecond int, d time.Duration) sample {
	c := client(64)
	defer c.CloseIdleConnections()
	total := int(d.Seconds() * float64(perSecond))
	latencies, when := make([]time.Duration, total), make([]time.Time, total)
	var failed atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for n := range total {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		time.Sleep(time.Until(due)) // the pace is what is measured
		when[n] = due
		wg.Go(func() {
			if err := post(ctx, c, t, run+"-"+strconv.Itoa(n), body(run, n)); err != nil {
				failed.Add(1)
			}
			latencies[n] = time.Since(due)
		})
	}
	wg.Wait()
	return sample{Done: total - int(failed.Load()), Failed: int(failed.Load()), Elapsed: time.Since(began), latencies: latencies, due: when}
}
