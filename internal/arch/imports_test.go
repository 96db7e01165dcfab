package arch

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// everyone may be imported by everyone: it stands on the standard library alone.
const everyone = "internal/fault"

// directions says what a room may import of ours, tests aside. A room that is not named may import
// nothing of ours but internal/fault. The longest prefix counts.
var directions = map[string][]string{
	"fhir":                  {"fhir"},
	"fhir/safety":           {"fhir"},
	"streams":               {"streams"},
	"ledger":                {},
	"ledger/recorder":       {"ledger", "streams", "fhir", "internal/auth", "internal/directory", "internal/telemetry", "internal/signature"},
	"ledger/trust":          {"ledger"},
	"ledger/notary":         {"ledger"},
	"ledger/scrub":          {"ledger"},
	"ledger/receipt":        {"ledger"},
	"ledger/collect":        {"ledger"},
	"ledger/postgres":       {"ledger", "internal/directory", "internal/auth"},
	"ledger/sqlite":         {"ledger", "internal/directory", "internal/auth"},
	"ledger/filekey":        {"ledger"},
	"ledger/awskms":         {"ledger"},
	"ledger/awss3":          {},
	"ledger/ledgertest":     {"ledger", "internal/directory", "internal/auth"},
	"adapters":              {"adapters", "fhir", "streams", "ledger", "internal/auth", "internal/directory", "internal/telemetry"},
	"adapters/push/webpush": {},
	"internal/auth":         {},
	"internal/directory":    {"ledger", "internal/auth"},
	"internal/telemetry":    {},
	"internal/signature":    {"internal/signature"},
	"internal/demo":         {"streams", "testdata", "internal/telemetry"},
	"internal/testenv":      {"streams", "ledger"},
	"internal/hub":          {"adapters", "fhir", "streams", "ledger", "internal"},
	"internal/hub/admin":    {"internal/telemetry"},
	"internal/bench":        {"adapters", "fhir", "streams", "ledger", "internal", "testdata"},
	"internal/soak":         {"adapters", "fhir", "streams", "ledger", "internal", "testdata"},
	"cmd":                   {"adapters", "streams", "internal", "testdata", "fhir", "ledger"},
}

// roomOf is the longest key of directions that holds pkg.
func roomOf(pkg string) (room string) {
	for r := range directions {
		if under(pkg, r) && len(r) > len(room) {
			room = r
		}
	}
	return room
}

func TestImportDirections(t *testing.T) {
	for _, s := range tree(t) {
		if s.test {
			continue
		}
		for _, i := range s.imports {
			target, ours := strings.CutPrefix(i, module+"/")
			if !ours || target == everyone || target == s.pkg {
				continue
			}
			if !underAny(target, directions[roomOf(s.pkg)]) {
				t.Errorf("%s imports %s: not drawn in the directions of %q", s.path, target, roomOf(s.pkg))
			}
		}
	}
}

// TestRoomsKeepApart holds for tests too: the three rooms are libraries, and
// adapters must be removable one by one.
func TestRoomsKeepApart(t *testing.T) {
	libraries := []string{"fhir", "streams", "ledger"}
	for _, s := range tree(t) {
		for _, i := range s.imports {
			target, ours := strings.CutPrefix(i, module+"/")
			if !ours {
				continue
			}
			for _, lib := range libraries {
				other := slices.ContainsFunc(libraries, func(o string) bool { return o != lib && under(target, o) })
				if under(s.pkg, lib) && other && !under(s.pkg, "ledger/recorder") {
					t.Errorf("%s imports %s: only ledger/recorder joins fhir, streams and ledger", s.path, target)
				}
			}
			if a, b := adapterOf(s.pkg), adapterOf(target); a != "" && b != "" && a != b && a != "all" && b != "adaptertest" && b != "rest" {
				t.Errorf("%s imports %s: adapters do not know each other", s.path, target)
			}
		}
	}
}

// adapterOf is the adapter that a package belongs to, "" if none.
func adapterOf(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "adapters/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func TestSingleImporters(t *testing.T) {
	sources := tree(t)
	for _, rule := range []struct {
		prefix string
		only   []string
		tests  bool // tests may too
		reason string
	}{
		{"github.com/nats-io/nats-server", []string{"streams/embedded"}, true, "one room runs the broker"},
		{"github.com/jackc/pgx", []string{"ledger/postgres", "internal/testenv", "internal/bench"}, true, "one room speaks PostgreSQL; the bench has a bare handler for comparison"},
		{"modernc.org/sqlite", []string{"ledger/sqlite", "internal/bench"}, true, "one room speaks SQLite; the bench has a bare handler for comparison"},
		{"github.com/samply/golang-fhir-models", []string{"fhir"}, false, "the models lose data: only fhir knows where they may be used"},
		{"github.com/go-jose", []string{"internal/signature"}, true, "one room judges signatures; tests sign as other people's libraries do"},
		{"github.com/aws", []string{"ledger/awskms", "ledger/awss3"}, false, "two rooms speak to AWS: keys and the published log (docs/adr/0010)"},
		{"github.com/pressly/goose", []string{"ledger/postgres", "ledger/sqlite"}, false, "stores migrate themselves"},
		{"github.com/goccy/go-yaml", []string{"internal/hub"}, false, "configuration is read in one place"},
		{"github.com/spf13", []string{"cmd"}, false, "flags end at the command line"},
		{"github.com/prometheus", []string{"internal/telemetry"}, false, "instruments are OpenTelemetry's"},
		{"go.opentelemetry.io/otel/sdk", []string{"internal/telemetry"}, true, "packages use the API alone"},
		{module + "/ledger/postgres", []string{"internal/hub", "internal/bench"}, true, "one composition root"},
		{module + "/ledger/sqlite", []string{"internal/hub", "internal/bench"}, true, "one composition root"},
		{module + "/ledger/recorder", []string{"internal/hub", "internal/bench"}, true, "one composition root"},
		{module + "/streams/embedded", []string{"internal/hub", "internal/bench"}, true, "one composition root"},
	} {
		for _, s := range sources {
			if underAny(s.pkg, rule.only) || rule.tests && s.test || rule.tests && under(s.pkg, "internal/testenv") {
				continue
			}
			for _, i := range s.imports {
				own := strings.TrimPrefix(rule.prefix, module+"/")
				if (i == rule.prefix || strings.HasPrefix(i, rule.prefix+"/")) && !under(s.pkg, own) {
					t.Errorf("%s imports %s: %s", s.path, i, rule.reason)
				}
			}
		}
	}
}

func TestFaultStandsAlone(t *testing.T) {
	for _, s := range tree(t) {
		if s.pkg != everyone || s.test {
			continue
		}
		for _, i := range s.imports {
			if strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
				t.Errorf("%s imports %s: internal/fault imports the standard library alone", s.path, i)
			}
		}
	}
}

// TestEveryRoomIsDrawn keeps the table honest: a line without a folder is a left-over, unless the
// room is still to be built.
func TestEveryRoomIsDrawn(t *testing.T) {
	later := []string{"internal/soak"}
	have := map[string]bool{}
	for _, s := range tree(t) {
		for p := s.pkg; p != "." && p != ""; p = path.Dir(p) {
			have[p] = true
		}
	}
	for room := range directions {
		if !have[room] && !slices.Contains(later, room) {
			t.Errorf("directions name %s, which is not there", room)
		}
	}
}
