package demo

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// proof fetches the receipt of the first prescription and judges it without the hub.
func (p *play) proof(ctx context.Context) error {
	p.t.act("A receipt that needs no trust in us")
	a, err := p.riverside.receipt(ctx, p.amoxicillin)
	if err != nil {
		return err
	}
	if err := expect(a.status == http.StatusOK && len(a.body) > 0, "receipt: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "fetched the receipt of the amoxicillin (%d bytes)", len(a.body))
	body, err := file("01-amoxicillin-contained.json")
	if err != nil {
		return err
	}
	err = p.hub.Judge(a.body, body)
	if err := expect(err == nil, "the receipt does not hold: %v", err); err != nil {
		return err
	}
	p.t.step("anyone", "judged offline: entry %s is in the signed log, and these are its bytes", a.index())
	forged := bytes.Replace(body, []byte("500 mg"), []byte("250 mg"), 1)
	if err := expect(!bytes.Equal(forged, body) && p.hub.Judge(a.body, forged) != nil, "a forged message passes for the recorded one"); err != nil {
		return err
	}
	p.t.step("anyone", "another dose in the same message: refused")
	return nil
}

// receipt asks until a signed checkpoint covers the prescription, 10 s at most.
func (m *member) receipt(ctx context.Context, rx string) (a answer, err error) {
	for end := time.Now().Add(10 * time.Second); ; {
		if a, err = m.get(ctx, "/fhir/MedicationRequest/"+rx+"/$receipt"); err != nil || a.status != http.StatusServiceUnavailable || time.Now().After(end) {
			return a, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}
