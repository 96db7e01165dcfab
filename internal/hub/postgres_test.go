package hub

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/internal/testenv"
)

// postgresServer is one server for the tests that want one.
var postgresServer testenv.Shared

func TestMain(m *testing.M) { os.Exit(postgresServer.Run(m)) }

// TestHubOnPostgreSQL is the configuration of deploy/compose.yaml: embedded NATS, two databases,
// migrate as a command of its own, everything set by the environment.
func TestHubOnPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("short: needs PostgreSQL")
	}
	dir := lab(t).Data
	environ := []string{
		"DATABASE_URL=" + postgresServer.Database(t), "DOSEWIRE_STORE_KEYS_DSN=" + postgresServer.Database(t),
		"DOSEWIRE_DATA=" + dir, "DOSEWIRE_HTTP_ADDRESS=0.0.0.0:0", "DOSEWIRE_HTTP_PLAINTEXT=behind-tls-proxy",
		"DOSEWIRE_NATS_ADDRESS=127.0.0.1:0", "DOSEWIRE_BASE_URL=http://127.0.0.1:8080", "DOSEWIRE_LOG=json",
	}
	c, err := Load("", environ)
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(t.Context(), c, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "dosewire migrate") {
		t.Fatalf("without a schema: %v, want the command that makes it", err)
	}
	for range 2 { // twice: the second time there is nothing to do
		if err := Migrate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		h, stop := run(t, c)
		op := admin.NewClient(h.AdminSocket())
		if _, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"}); err != nil {
			t.Fatal(err)
		}
		s, err := op.Status(t.Context())
		if err != nil || s.Store != "postgresql" || s.Organizations != round+1 || s.URL != "http://127.0.0.1:8080" {
			t.Errorf("status: %+v, %v", s, err)
		}
		if v, err := op.Verify(t.Context(), admin.Verification{}, nil); err != nil || v.Bad != nil || v.Entries < uint64(round+2) {
			t.Errorf("verify: %+v, %v", v, err)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	log := &diaryLog{}
	if h, err = New(t.Context(), c, Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	if err := start(t, h, log)(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if !strings.Contains(log.String(), "use a login in dosewire_hub") {
		t.Errorf("the owner's login is not named:\n%s", log)
	}
	if v, err := VerifyStore(t.Context(), c, admin.Verification{}, nil); err != nil || v.Bad != nil {
		t.Errorf("verify the closed store: %+v, %v", v, err)
	}
}
