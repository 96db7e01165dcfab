package fhir_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// specimen is one file of the corpus of public examples.
type specimen struct {
	file, verdict, expected string
	body                    []byte
}

// bom begins some files. It is the file's mark, not the message's: RFC 8259 §8.1 forbids to send it.
var bom = []byte("\ufeff")

// corpus reads the examples that stand beside the checkout. Without them the test has nothing to
// judge, and says so.
func corpus(t testing.TB) []specimen {
	t.Helper()
	dir := filepath.Join(root(t), "..", "shared", "corpus")
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Skipf("SKIPPED: the corpus of public examples is not beside the checkout: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []specimen
	for _, row := range rows[1:] {
		body, err := os.ReadFile(filepath.Join(dir, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, specimen{row[0], row[5], row[6], body})
	}
	return all
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// brokenAnyway are files that their publishers call valid and that break R4, each looked at by hand.
func brokenAnyway() map[string]string {
	return map[string]string{
		"gematik-refserver/signature.json":                                                                                              "RX_RESOURCE_TYPE", // Signature is a data type
		"microsoft-fhir-server/Bundle-BatchWithConditionalUpdateByIdentifier.json":                                                      "RX_VALUE",         // an empty system
		"microsoft-fhir-server/Bundle-BatchWithDuplicatedItems.json":                                                                    "bdl-7",
		"microsoft-fhir-server/Bundle-FhirPatch.json":                                                                                   "RX_VALUE",          // relative fullUrl, three times the same
		"microsoft-fhir-server/Bundle-TransactionWithPOSTFullUrlMatchesWithPUTRequestUrl.json":                                          "RX_VALUE",          // relative fullUrl
		"microsoft-fhir-server/Medication.json":                                                                                         "dom-3",             // nothing refers to what it contains
		"microsoft-fhir-server/medicinalproductcontraindication-questionnaire.json":                                                     "RX_REQUIRED",       // items without linkId
		"hl7-r4-examples/MedicationRequest-medrx0301.json":                                                                              "RX_REFERENCE_TYPE", // dispenseRequest.performer is an Organization, not a Practitioner
		"hl7-r4-examples/Observation-clinical-gender.json":                                                                              "RX_REFERENCE_TYPE",
		"gofhir-validator/m9-references__valid-bundle-fullurl-id.json":                                                                  "bdl-8",
		"microsoft-fhir-server/Patient.json":                                                                                            "RX_VALUE",     // an instant without a zone
		"nhs-eps/spec__errors__prescription-order-update__bundle-success.json":                                                          "RX_VALUE",     // an empty display
		"nhs-tracker/prescriptionSearch__200_NoResults.json":                                                                            "RX_STRUCTURE", // an empty entry array
		"nhs-eps/coordinator__dispensing__Process-Request-Dispense-Has-StatusReasonCodableConcept-200_OK.json":                          "RX_STRUCTURE", // a null that holds no place
		"nhs-eps/coordinator__dispensing__Process-Request-Dispense-Notifications-No-ODS-Code-Extension-for-ReimbursementAuthority.json": "ext-1",
	}
}

// TestCorpusValid: no valid R4 file is refused.
func TestCorpusValid(t *testing.T) {
	files, marked, broken := 0, 0, brokenAnyway()
	for _, s := range corpus(t) {
		switch s.verdict {
		case "valid", "invalid-business", "invalid-profile", "invalid-terminology-or-profile":
		default:
			continue
		}
		files++
		body, had := bytes.CutPrefix(s.body, bom)
		if had {
			marked++
			if _, err := fhir.Decode(s.body); fault.CodeOf(err) != fault.CodeEncoding {
				t.Errorf("%s: a byte order mark gives %v", s.file, err)
			}
		}
		d, err := fhir.Decode(body)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if !bytes.Equal(d.Raw(), body) {
			t.Errorf("%s: not byte for byte", s.file)
		}
		issues := fhir.Validate(d)
		if want, ok := broken[s.file]; ok {
			if len(issues) == 0 || issues[0].ID != want {
				t.Errorf("%s: got %v, want %s", s.file, issues, want)
			}
			continue
		}
		for _, i := range issues {
			t.Errorf("%s:%d:%d: %s %s %s", s.file, i.Line, i.Col, i.ID, i.Expression, i.Text)
		}
	}
	t.Logf("%d of %d valid files accepted (%d break R4), %d of them without the byte order mark they begin with",
		files-len(broken), files, len(broken), marked)
}

// validAnyway are files that are called structurally invalid and are valid base R4, each looked at by hand.
func validAnyway() map[string]string {
	return map[string]string{
		"fhir-test-cases/ai5.json":                                                 "a profile",
		"fhir-test-cases/ai6.json":                                                 "a profile",
		"fhir-test-cases/patient-ig-bad.json":                                      "a profile",
		"fhir-test-cases/dr-eh.json":                                               "a profile",
		"fhir-test-cases/bundle-with-contained.json":                               "fullUrl and id differ, as in five files that are called valid",
		"fhir-test-cases/parameters-reference-bad.json":                            "a reference out of Parameters",
		"gofhir-validator/m8-extensions__invalid-wrong-context.json":               "the definition of an extension",
		"microsoft-fhir-server/Bundle-TransactionWithInvalidProcessingRoutes.json": "what that server does",
		"microsoft-fhir-server/Bundle-TransactionWithInvalidResourceType.json":     "what that server does",
		"microsoft-fhir-server/ObservationWithInvalidDecimalSpecification.json":    "that server's limit on decimals",
	}
}

// TestCorpusInvalid: structurally invalid files are refused, but for those above.
func TestCorpusInvalid(t *testing.T) {
	refused, total, valid := 0, 0, validAnyway()
	for _, s := range corpus(t) {
		if s.verdict != "invalid-structural" {
			continue
		}
		total++
		d, err := fhir.Decode(bytes.TrimPrefix(s.body, bom))
		_, excused := valid[s.file]
		switch accepted := err == nil && len(fhir.Validate(d)) == 0; {
		case !accepted:
			refused++
			if excused {
				t.Errorf("%s is refused: take it off the list", s.file)
			}
		case !excused:
			t.Errorf("accepted %s: %.120s", s.file, s.expected)
		}
	}
	t.Logf("%d of %d refused, %d are valid base R4", refused, total, len(valid))
}

// order is one of the prescriptions that a pharmacy must get.
type order struct {
	doc     *fhir.Document
	subject fhir.Subject
	fhir.Request
}

// TestCorpusOrders: of the active orders inside valid message, document and transaction Bundles at
// least 97 % are read, and complete enough to dispense.
func TestCorpusOrders(t *testing.T) {
	codes := map[string]int{}
	total, complete := 0, 0
	for _, s := range corpus(t) {
		if s.verdict != "valid" {
			continue
		}
		for _, q := range orders(t, s) {
			total++
			issues := fhir.Complete(q.doc, q.Request)
			for _, i := range issues {
				codes[i.Severity+" "+i.ID]++
				if i.Severity == "error" {
					t.Logf("%s: %s %s", s.file, i.ID, i.Expression)
				}
			}
			if len(q.subject.Identifiers) == 0 && q.subject.Local == "" {
				codes["no patient"]++
			}
			if q.PerformerGiven {
				codes["performer"]++
			}
			if len(q.Performer) > 0 {
				codes["performer identified"]++
			}
			if _, refused := fhir.Refused(issues); !refused {
				complete++
			}
		}
	}
	for code, n := range codes {
		t.Logf("%-40s %d", code, n)
	}
	t.Logf("%d of %d active orders are complete", complete, total)
	if total != 219 || complete < 213 {
		t.Errorf("%d of %d orders are complete, want at least 213 of 219", complete, total)
	}
}

// orders reads the active orders of a Bundle that carries messages.
func orders(t *testing.T, s specimen) []order {
	d, err := fhir.Decode(bytes.TrimPrefix(s.body, bom))
	if err != nil {
		return nil
	}
	switch d.BundleType() {
	case "message", "document", "transaction":
	default:
		return nil
	}
	m, issues := fhir.Read(d)
	var out []order
	for _, q := range m.Requests {
		if q.Status == "active" && (q.Intent == "order" || q.Intent == "original-order") {
			out = append(out, order{d, m.Subject, q})
		}
	}
	if len(out) == 0 {
		return nil
	}
	for _, i := range append(fhir.Validate(d), issues...) {
		t.Errorf("%s: %s %s", s.file, i.ID, i.Expression)
	}
	return out
}
