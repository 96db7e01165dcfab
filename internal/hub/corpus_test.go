package hub

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

var updateCorpus = flag.Bool("update-corpus", false, "rewrite docs/corpus.md")

// published is one Bundle of the corpus with the active orders in it.
type published struct {
	file   string
	body   []byte
	orders []publishedOrder
}

type publishedOrder struct {
	raw       json.RawMessage // its bytes in the Bundle
	intent    string
	performer string // system|value, "" = none
}

// corpusRoot is ../shared/corpus beside the checkout.
func corpusRoot(t *testing.T) string {
	dir, err := filepath.Abs("../../../shared/corpus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); err != nil {
		t.Skip("no corpus of public examples beside the checkout: nothing to publish")
	}
	return dir
}

// readCorpus finds every valid message, document and transaction Bundle with an active order. It
// reads with encoding/json alone, so that what it expects does not come from the code under test.
func readCorpus(t *testing.T, root string) (all []published) {
	f, err := os.Open(filepath.Join(root, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[1] != "Bundle" || row[5] != "valid" || !slices.Contains([]string{"message", "document", "transaction"}, row[2]) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(root, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		if p := (published{file: row[0], body: body}); p.read() && len(p.orders) > 0 {
			all = append(all, p)
		}
	}
	return all
}

func (p *published) read() bool {
	type reference struct {
		Reference  string
		Identifier *struct{ System, Value string }
	}
	var b struct {
		Entry []struct {
			FullURL  string
			Resource json.RawMessage
		}
	}
	if json.Unmarshal(p.body, &b) != nil {
		return false
	}
	for _, e := range b.Entry {
		var m struct {
			ResourceType, Status, Intent string
			DispenseRequest              struct{ Performer *reference }
		}
		if json.Unmarshal(e.Resource, &m) != nil || m.ResourceType != "MedicationRequest" || m.Status != "active" {
			continue
		}
		o := publishedOrder{raw: e.Resource, intent: m.Intent}
		if ref := m.DispenseRequest.Performer; ref != nil && ref.Identifier != nil {
			o.performer = ref.Identifier.System + "|" + ref.Identifier.Value
		} else if ref != nil {
			for _, t := range b.Entry {
				var target struct {
					Identifier []struct{ System, Value string }
				}
				if t.FullURL == ref.Reference && json.Unmarshal(t.Resource, &target) == nil && len(target.Identifier) > 0 {
					o.performer = target.Identifier[0].System + "|" + target.Identifier[0].Value
				}
			}
		}
		p.orders = append(p.orders, o)
	}
	return true
}

// Of the valid active orders in the corpus nearly all reach a pharmacy, byte for byte, and nobody sees
// another's item. What is refused is listed in docs/corpus.md.
func TestCorpusReachesPharmacies(t *testing.T) {
	bundles := readCorpus(t, corpusRoot(t))
	h, ctx := runTestHub(t)

	// two pharmacies share the performers that the examples name
	performers := map[string]bool{}
	for _, b := range bundles {
		for _, o := range b.orders {
			if o.performer != "" {
				performers[o.performer] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(performers))
	var pharmacies []admin.Credential
	owner := map[string]string{} // performer → org
	for i, half := range [][]string{names[:len(names)/2], names[len(names)/2:]} {
		c, err := h.AddOrganization(ctx, admin.NewOrganization{Kind: "pharmacy", Name: fmt.Sprint("Pharmacy ", i+1), Identifiers: half})
		if err != nil {
			t.Fatal(err)
		}
		pharmacies = append(pharmacies, c)
		for _, p := range half {
			owner[p] = c.Org
		}
	}
	// the examples repeat their ids from version to version: each file has a sender of its own
	refusals := map[string]int{}
	refused := map[string]string{} // file → codes
	remarks := map[string]string{} // file → what the hub said beside yes
	waiting := map[string]string{} // file → why it was recorded and reached nobody
	chosen := map[string]string{}  // file → the pharmacy that its patient chose
	total := 0
	for i, b := range bundles {
		total += len(b.orders)
		c, err := h.AddOrganization(ctx, admin.NewOrganization{Kind: "clinic", Name: b.file})
		if err != nil {
			t.Fatal(err)
		}
		status, answer := postBundle(t, ctx, c, b)
		if status/100 != 2 {
			refused[b.file] = outcomeCodes(answer, "fatal", "error")
			for _, place := range strings.Split(refused[b.file], ", ") {
				code, _, _ := strings.Cut(place, " ")
				refusals[code] += len(b.orders)
			}
			continue
		}
		// who has no pharmacy chooses one
		choice := pharmacies[i%2].Org
		chosen[b.file] = choice
		remarks[b.file] = outcomeCodes(answer, "information", "warning")
		nominateWaiting(t, ctx, h, c.Org, choice)
	}
	reached, foreign := 0, 0
	got := map[string][][]byte{}
	for _, p := range pharmacies {
		got[p.Org] = pullAll(t, ctx, p)
	}
	for _, b := range bundles {
		for _, o := range b.orders {
			want := destination(b, o, owner, chosen)
			if !slices.ContainsFunc(got[want], func(body []byte) bool { return bytes.Contains(body, o.raw) }) && refused[b.file] == "" {
				waiting[b.file] = remarks[b.file]
			}
			for org, bodies := range got {
				for _, body := range bodies {
					if !bytes.Contains(body, o.raw) {
						continue
					}
					if org == want {
						reached++
					} else if !sameOrderElsewhere(bundles, o, org, owner, chosen) {
						foreign++
					}
					break
				}
			}
		}
	}
	t.Logf("%d Bundles, %d orders: %d reached a pharmacy (%.1f %%), refused %v", len(bundles), total, reached, 100*float64(reached)/float64(total), refusals)
	if float64(reached) < 0.97*float64(total) {
		t.Errorf("%d of %d orders reached a pharmacy, want 97 %%", reached, total)
	}
	if foreign > 0 {
		t.Errorf("%d items were seen by a pharmacy that they were not for", foreign)
	}
	v, err := h.Verify(ctx, admin.Verification{}, nil)
	if err != nil || v.Bad != nil {
		t.Errorf("verify: %v %v", err, v.Bad)
	}
	table := corpusTable(len(bundles), total, reached, refusals, refused, waiting)
	compareDoc(t, "../../docs/corpus.md", table)
}

// destination is the pharmacy of the performer named, else that which the patient chose.
func destination(b published, o publishedOrder, owner, chosen map[string]string) string {
	if o.performer == "" {
		return chosen[b.file]
	}
	return owner[o.performer]
}

// sameOrderElsewhere: the corpus holds some orders twice, byte for byte, in files for either pharmacy.
func sameOrderElsewhere(all []published, o publishedOrder, org string, owner, chosen map[string]string) bool {
	for _, b := range all {
		for _, other := range b.orders {
			if bytes.Equal(other.raw, o.raw) && destination(b, other, owner, chosen) == org {
				return true
			}
		}
	}
	return false
}

func corpusTable(bundles, total, reached int, refusals map[string]int, refused, waiting map[string]string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Public examples through the hub\n\n"+
		"Every valid message, document and transaction Bundle with an active order in the corpus of public FHIR R4 examples is posted to a hub, each by a clinic of its own. "+
		"This page is written by the test that does it.\n\n"+
		"| | |\n|---|--:|\n| Bundles | %d |\n| active orders in them | %d |\n| reached a pharmacy, byte for byte | %d |\n| seen by another pharmacy | 0 |\n\n", bundles, total, reached)
	fmt.Fprintf(&b, "## Refused, by code\n\n| codes | orders |\n|---|--:|\n")
	for _, codes := range slices.Sorted(maps.Keys(refusals)) {
		fmt.Fprintf(&b, "| %s | %d |\n", codes, refusals[codes])
	}
	fmt.Fprintf(&b, "\n| file | codes and places |\n|---|---|\n")
	for _, f := range slices.Sorted(maps.Keys(refused)) {
		fmt.Fprintf(&b, "| %s | %s |\n", f, refused[f])
	}
	fmt.Fprintf(&b, "\n## Recorded, and no pharmacy\n\nTheir validity ended before the patient could choose a pharmacy: the hub says so in its answer.\n\n| file | remarks |\n|---|---|\n")
	for _, f := range slices.Sorted(maps.Keys(waiting)) {
		fmt.Fprintf(&b, "| %s | %s |\n", f, waiting[f])
	}
	return b.Bytes()
}

func compareDoc(t *testing.T, path string, want []byte) {
	t.Helper()
	if *updateCorpus {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is not what the hub does now; rewrite it with -update-corpus:\n%s", path, want)
	}
}

// runTestHub runs a hub on free ports in a temporary folder.
func runTestHub(t *testing.T) (*Hub, context.Context) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	h, err := New(ctx, Config{Data: t.TempDir(), HTTP: HTTP{Address: "127.0.0.1:0"}, NATS: NATS{Address: "127.0.0.1:0"}},
		Options{Adapters: all.List(), Log: io.Discard})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("hub: %v", err)
		}
	})
	select {
	case <-h.Ready():
	case err := <-done:
		done <- nil
		t.Fatalf("hub did not start: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("hub is not ready in 30 s")
	}
	return h, ctx
}

func postBundle(t *testing.T, ctx context.Context, c admin.Credential, b published) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/fhir", bytes.NewReader(b.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Authorization", "Bearer "+c.Token)
	r.Header.Set("Idempotency-Key", b.file)
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, []byte) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// pullAll reads every delivery of an organisation by REST.
func pullAll(t *testing.T, ctx context.Context, c admin.Credential) (bodies [][]byte) {
	t.Helper()
	next := c.URL + "/fhir/$deliveries?after=0&_count=100"
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.Token)
		status, body := do(t, r)
		var page struct {
			Link  []struct{ Relation, URL string }
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(body, &page); err != nil || status != 200 {
			t.Fatalf("$deliveries: %d %v", status, err)
		}
		if len(page.Entry) == 0 {
			return bodies
		}
		for _, e := range page.Entry {
			bodies = append(bodies, e.Resource)
		}
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = l.URL
			}
		}
	}
}

// outcomeCodes are the codes and places of an OperationOutcome's issues of some severities.
func outcomeCodes(body []byte, severities ...string) string {
	var o struct {
		Issue []struct {
			Severity   string
			Expression []string
			Details    struct{ Coding []struct{ Code string } }
		}
	}
	if json.Unmarshal(body, &o) != nil {
		return "not an OperationOutcome"
	}
	var codes []string
	for _, i := range o.Issue {
		if !slices.Contains(severities, i.Severity) || len(i.Details.Coding) == 0 || i.Details.Coding[0].Code == "RX_RECORDED" {
			continue
		}
		code := i.Details.Coding[0].Code
		if len(i.Expression) > 0 {
			code += " " + i.Expression[0]
		}
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return strings.Join(codes, ", ")
}

// nominateWaiting lets every patient of the clinic with a waiting prescription choose the pharmacy.
func nominateWaiting(t *testing.T, ctx context.Context, h *Hub, clinic, pharmacy string) {
	t.Helper()
	org := uuid.MustParse(clinic)
	effects, err := h.databases.records.Effects(ctx, ledger.ID{}, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[ledger.ID]bool{}
	for _, e := range effects {
		if e.Kind != ledger.EffectWake || e.Type != "choose" || asked[e.Patient] {
			continue
		}
		asked[e.Patient] = true
		p, err := h.databases.records.Prescription(ctx, e.Prescription)
		if err != nil {
			t.Fatal(err)
		}
		if p.Clinic != org {
			continue
		}
		fact := recorder.NominationFact{Patient: e.Patient.String(), Pharmacy: pharmacy}
		if err := h.state(ctx, recorder.FactNomination, fact); err != nil {
			t.Fatal(err)
		}
	}
}
