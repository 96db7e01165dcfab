package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/dosewire/dosewire/streams"
)

// dispense is a pharmacy's MedicationDispense for the prescription that it was sent.
func dispense(id, status, rx, medication string) []byte {
	md := map[string]any{
		"resourceType":              "MedicationDispense",
		"identifier":                []any{map[string]any{"system": "https://pharmacy.example/dispense", "value": id}},
		"status":                    status,
		"medicationCodeableConcept": map[string]any{"text": medication},
		"authorizingPrescription":   []any{map[string]any{"reference": "MedicationRequest/" + rx}},
	}
	if status == "completed" {
		md["type"] = map[string]any{"coding": []any{map[string]any{
			"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "FF"}}}
		md["whenHandedOver"] = "2026-11-19T16:40:00-05:00"
	}
	b, _ := json.Marshal(md) // strings only: cannot fail
	return b
}

func (p *play) oneByREST(ctx context.Context) error {
	p.t.act("One prescription, clinic to pharmacy to patient (REST)")
	body, err := file("01-amoxicillin-contained.json")
	if err != nil {
		return err
	}
	a, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "amoxicillin-"+p.run, body)
	if err != nil {
		return err
	}
	if err := expect(a.status == 201 && a.header.Get("Location") != "" && a.index() != "", "issue: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	p.amoxicillin = a.rx()
	p.t.step("Riverside", "issued amoxicillin: 201, ledger entry %s", a.index())

	d, err := p.oldBridge.receive(ctx, func(d delivery) bool { return d.rx() == a.rx() })
	if err != nil {
		return err
	}
	if err := expect(bytes.Equal(d.body, body), "the delivery differs from what was sent"); err != nil {
		return err
	}
	p.t.step("Old Bridge", "received it, byte for byte as sent (%d bytes)", len(d.body))
	for _, s := range []struct{ status, done string }{
		{"preparation", "claimed the fill"}, {"in-progress", "ready to collect"},
	} {
		if err := p.dispenses(ctx, p.oldBridge, "OB-1-"+p.run, s.status, a.rx(), "Amoxicillin 500 mg capsules", s.done); err != nil {
			return err
		}
	}
	return p.clinicSees(ctx, p.riverside, 2)
}

// dispenses posts a MedicationDispense and expects it recorded.
func (p *play) dispenses(ctx context.Context, m *member, id, status, rx, medication, done string) error {
	a, err := m.post(ctx, "/fhir/MedicationDispense", id+"-"+status, dispense(id, status, rx, medication))
	if err != nil {
		return err
	}
	if err := expect(a.status/100 == 2 && a.index() != "", "%s by %s: status %d, codes %v", status, m.name, a.status, a.codes()); err != nil {
		return err
	}
	p.t.step(m.name, "%s: %d, ledger entry %s, state %s", done, a.status, a.index(), a.header.Get(streams.HeaderState))
	return nil
}

// clinicSees waits until the clinic's pull has brought n dispenses.
func (p *play) clinicSees(ctx context.Context, m *member, n int) error {
	for seen := 0; seen < n; {
		a, err := m.get(ctx, fmt.Sprintf("/fhir/$deliveries?after=%d&_count=50&wait=10s", m.after))
		if err != nil {
			return err
		}
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct{ Resource struct{ ResourceType string } }
		}
		if err := json.Unmarshal(a.body, &b); err != nil || a.status != 200 {
			return fmt.Errorf("demo: $deliveries: status %d: %w", a.status, err)
		}
		if err := expect(len(b.Entry) > 0, "%s: no dispense came back in 10 s", m.name); err != nil {
			return err
		}
		for _, e := range b.Entry {
			if e.Resource.ResourceType == streams.TypeMedicationDispense {
				seen++
			}
		}
		for _, l := range b.Link {
			if u, err := url.Parse(l.URL); l.Relation == "next" && err == nil {
				fmt.Sscan(u.Query().Get("after"), &m.after)
			}
		}
	}
	p.t.step(m.name, "pulled %d dispenses back (REST)", n)
	return nil
}

func (p *play) invite(ctx context.Context) (err error) {
	p.t.act("The patient's phone")
	if p.ines, err = p.signedIn(ctx, "Inés", p.riverside, riversideMRN, "RF-20418"); err != nil {
		return err
	}
	if err := p.ines.shows(ctx, "/inbox/", "Amoxicillin 500 mg capsules", "Ready to collect"); err != nil {
		return err
	}
	p.t.step("Inés", "signed in by a one-time link; sees “Amoxicillin 500 mg capsules · Ready to collect”")
	if err := p.ines.optIn(ctx); err != nil {
		return err
	}
	p.t.step("Inés", "turned notifications on")
	return nil
}

func (p *play) signedIn(ctx context.Context, owner string, clinic *member, system, value string) (*phone, error) {
	link, err := p.hub.Invite(ctx, clinic.Org, system, value)
	if err != nil {
		return nil, fmt.Errorf("demo: invite %s: %w", owner, err)
	}
	ph, err := newPhone(ctx, owner, clinic.URL)
	if err != nil {
		return nil, err
	}
	return ph, ph.signIn(ctx, link)
}

func (p *play) collected(ctx context.Context) error {
	a, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "amoxicillin-"+p.run, must(file("01-amoxicillin-contained.json")))
	if err != nil {
		return err
	}
	if err := p.dispenses(ctx, p.oldBridge, "OB-1-"+p.run, "completed", a.rx(), "Amoxicillin 500 mg capsules", "handed over"); err != nil {
		return err
	}
	wake, err := p.ines.woken(ctx)
	if err != nil {
		return err
	}
	if err := expect(bytes.Contains(wake, []byte("web_push")) && !bytes.Contains(bytes.ToLower(wake), []byte("amoxicillin")),
		"the wake is not the content-free one"); err != nil {
		return err
	}
	p.t.step("Inés", "phone woken by an encrypted push that says nothing; the phone then fetches")
	if err := p.ines.shows(ctx, "/inbox/", "Amoxicillin 500 mg capsules", "Collected"); err != nil {
		return err
	}
	p.t.step("Inés", "sees “Collected”")
	return nil
}

// must unwraps an embedded file: it is there or the build is broken.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func (p *play) repeatsByNATS(ctx context.Context) error {
	p.t.act("Repeats, over NATS alone")
	seq, err := p.riverside.publish(ctx, streams.TypeMedicationRequest, "metformin-"+p.run, must(file("02-metformin-repeats.json")))
	if err != nil {
		return err
	}
	if err := p.outcome(ctx, p.riverside, seq); err != nil {
		return err
	}
	d, err := p.harbour.receive(ctx, func(d delivery) bool { return strings.Contains(d.subject, ".MedicationRequest.") })
	if err != nil {
		return err
	}
	p.t.step("Harbour Street", "received metformin, 3 repeats")
	seq, err = p.harbour.publish(ctx, streams.TypeMedicationDispense, "HS-1-"+p.run,
		dispense("HS-1-"+p.run, "completed", d.rx(), "Metformin 500 mg tablets"))
	if err != nil {
		return err
	}
	if err := p.outcome(ctx, p.harbour, seq); err != nil {
		return err
	}
	got, err := p.riverside.receive(ctx, func(d delivery) bool { return strings.Contains(d.subject, ".MedicationDispense.") && d.rx() != "" })
	if err != nil {
		return err
	}
	p.t.step("Riverside", "told of the direct hand-over; the prescription is %s again, 3 fills left", got.header.Get(streams.HeaderState))
	return nil
}

// outcome waits for the OperationOutcome that answers a published message.
func (p *play) outcome(ctx context.Context, m *member, seq string) error {
	d, err := m.receive(ctx, func(d delivery) bool {
		return d.header.Get(streams.HeaderCause) == seq && strings.Contains(d.subject, ".OperationOutcome.")
	})
	if err != nil {
		return err
	}
	if err := expect(d.header.Get(streams.HeaderIndex) != "", "%s's message %s was refused: %v", m.name, seq, answer{body: d.body}.codes()); err != nil {
		return err
	}
	p.t.step(m.name, "published; outcome: recorded as ledger entry %s", d.header.Get(streams.HeaderIndex))
	return nil
}

func (p *play) twoPharmacies(ctx context.Context) error {
	p.t.act("One message Bundle, two items for two pharmacies")
	a, err := p.riverside.post(ctx, "/fhir", "form-778120-"+p.run, must(file("03-message-two-pharmacies.json")))
	if err != nil {
		return err
	}
	if err := expect(a.status == 201, "message Bundle: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "sent lisinopril and atorvastatin in one message: 201, ledger entry %s", a.index())
	for _, x := range []struct {
		m            *member
		own, foreign string
	}{{p.oldBridge, "Lisinopril", "Atorvastatin"}, {p.harbour, "Atorvastatin", "Lisinopril"}} {
		d, err := x.m.receive(ctx, func(d delivery) bool { return bytes.Contains(d.body, []byte(x.own)) })
		if err != nil {
			return err
		}
		if err := expect(!bytes.Contains(d.body, []byte(x.foreign)), "%s sees another's item", x.m.name); err != nil {
			return err
		}
		p.t.step(x.m.name, "received %s and nothing of the other item", strings.ToLower(x.own))
	}
	return nil
}

func (p *play) document(ctx context.Context) (err error) {
	p.t.act("A document Bundle without a pharmacy: the patient chooses")
	a, err := p.northgate.post(ctx, "/fhir", "doc-20261-"+p.run, must(file("04-document.json")))
	if err != nil {
		return err
	}
	if err := expect(a.status == 201 && a.rx() != "", "document: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	p.t.step("Northgate", "sent sertraline as a document: 201, ledger entry %s, waits for a choice", a.index())
	if p.lea, err = p.signedIn(ctx, "Léa", p.northgate, northgatePats, "NHC-00952"); err != nil {
		return err
	}
	if err := p.lea.shows(ctx, "/inbox/p/"+a.rx(), "Sertraline 50 mg tablets", "Half a tablet each morning"); err != nil {
		return err
	}
	c, err := p.lea.form(ctx, "/inbox/p/"+a.rx()+"/pharmacy", url.Values{"pharmacy": {p.harbour.Org}})
	if err != nil {
		return err
	}
	if err := expect(c.status == 200, "choose a pharmacy: status %d", c.status); err != nil {
		return err
	}
	p.t.step("Léa", "chose Harbour Street Pharmacy in the inbox")
	if _, err := p.harbour.receive(ctx, func(d delivery) bool { return d.rx() == a.rx() }); err != nil {
		return err
	}
	p.t.step("Harbour Street", "received it at once")
	return nil
}

func (p *play) cancellation(ctx context.Context) error {
	p.t.act("A cancellation")
	a, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "ibuprofen-"+p.run, must(file("05-ibuprofen.json")))
	if err != nil {
		return err
	}
	if err := expect(a.status == 201, "issue ibuprofen: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "issued ibuprofen: ledger entry %s", a.index())
	if _, err := p.oldBridge.receive(ctx, func(d delivery) bool { return d.rx() == a.rx() }); err != nil {
		return err
	}
	c, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "ibuprofen-cancel-"+p.run, must(file("06-ibuprofen-cancelled.json")))
	if err != nil {
		return err
	}
	if err := expect(c.status/100 == 2 && c.header.Get(streams.HeaderState) == "cancelled", "cancel: status %d, codes %v", c.status, c.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "cancelled it: not tolerated")
	if _, err := p.oldBridge.receive(ctx, func(d delivery) bool {
		return d.rx() == a.rx() && bytes.Contains(d.body, []byte(`"cancelled"`))
	}); err != nil {
		return err
	}
	p.t.step("Old Bridge", "told not to dispense")
	late, err := p.oldBridge.post(ctx, "/fhir/MedicationDispense", "OB-late-"+p.run, dispense("OB-late-"+p.run, "preparation", a.rx(), "Ibuprofen 600 mg tablets"))
	if err != nil {
		return err
	}
	if err := expect(late.status == 409 && slices.Contains(late.codes(), "RX_CANCELLED"), "claim after cancel: status %d, codes %v", late.status, late.codes()); err != nil {
		return err
	}
	p.t.step("Old Bridge", "a claim now is refused: 409 RX_CANCELLED")
	return nil
}

func (p *play) race(ctx context.Context) error {
	p.t.act("Two pharmacies race for one fill")
	a, err := p.northgate.post(ctx, "/fhir/MedicationRequest", "omeprazole-"+p.run, must(file("07-omeprazole-race.json")))
	if err != nil {
		return err
	}
	if err := expect(a.status == 201, "issue omeprazole: status %d, codes %v", a.status, a.codes()); err != nil {
		return err
	}
	if _, err := p.oldBridge.receive(ctx, func(d delivery) bool { return d.rx() == a.rx() }); err != nil {
		return err
	}
	p.t.step("Old Bridge", "received omeprazole")
	if c, err := p.lea.form(ctx, "/inbox/p/"+a.rx()+"/pharmacy", url.Values{"pharmacy": {p.harbour.Org}}); err != nil || c.status != 200 {
		return fmt.Errorf("demo: redirect: status %d: %w", c.status, err)
	}
	if _, err := p.harbour.receive(ctx, func(d delivery) bool { return d.rx() == a.rx() }); err != nil {
		return err
	}
	p.t.step("Léa", "redirected it to Harbour Street; both pharmacies reach for it at the same moment")

	racers, answers, errs := []*member{p.oldBridge, p.harbour}, make([]answer, 2), make([]error, 2)
	var wg sync.WaitGroup
	for i, m := range racers {
		wg.Go(func() {
			id := fmt.Sprintf("race-%d-%s", i, p.run)
			answers[i], errs[i] = m.post(ctx, "/fhir/MedicationDispense", id, dispense(id, "preparation", a.rx(), "Omeprazole 20 mg capsules"))
		})
	}
	wg.Wait()
	won := 0
	for i, m := range racers {
		if errs[i] != nil {
			return errs[i]
		}
		switch answers[i].status {
		case 201:
			won++
			p.t.step(m.name, "holds the fill: 201, claim %s", answers[i].header.Get(streams.HeaderClaim))
		case 409:
			p.t.step(m.name, "lost: 409 %s", strings.Join(answers[i].codes(), " "))
		default:
			return expect(false, "%s: status %d, codes %v", m.name, answers[i].status, answers[i].codes())
		}
	}
	return expect(won == 1, "%d pharmacies hold one fill", won)
}

func (p *play) invalid(ctx context.Context) error {
	p.t.act("An invalid message")
	a, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "invalid-"+p.run, must(file("08-invalid.json")))
	if err != nil {
		return err
	}
	codes := a.codes()
	if err := expect(a.status == 422 && len(codes) >= 3, "invalid message: status %d, codes %v", a.status, codes); err != nil {
		return err
	}
	p.t.step("Riverside", "refused with every fault at once: 422 %s", strings.Join(codes, " "))
	return nil
}

func (p *play) sameAgain(ctx context.Context) error {
	p.t.act("The same message again")
	a, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "amoxicillin-"+p.run, must(file("01-amoxicillin-contained.json")))
	if err != nil {
		return err
	}
	if err := expect(a.header.Get("Idempotent-Replayed") == "true" && a.header.Get(streams.HeaderState) == "completed",
		"repeat: status %d, state %q, codes %v", a.status, a.header.Get(streams.HeaderState), a.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "the first decision (entry %s) and the present state: %s", a.index(), a.header.Get(streams.HeaderState))
	b, err := p.riverside.post(ctx, "/fhir/MedicationRequest", "amoxicillin-"+p.run, must(file("02-metformin-repeats.json")))
	if err != nil {
		return err
	}
	if err := expect(b.status == 409 && slices.Contains(b.codes(), "RX_ID_REUSED"), "reused id: status %d, codes %v", b.status, b.codes()); err != nil {
		return err
	}
	p.t.step("Riverside", "other content under the same id: 409 RX_ID_REUSED")
	return nil
}
