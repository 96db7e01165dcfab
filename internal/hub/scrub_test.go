package hub

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
)

// TestDamageUnderARunningHub: a superuser changes one record and one state, triggers and foreign keys
// off. Both are refused by name with one alarm each, everything else is served and recorded, and the
// hub stays ready. Then the head is set back: the hub is not ready, halts, and does not start on it.
func TestDamageUnderARunningHub(t *testing.T) {
	if testing.Short() {
		t.Skip("short: needs PostgreSQL")
	}
	c := lab(t)
	c.Store = Store{DSN: postgresServer.Database(t), KeysDSN: postgresServer.Database(t), Migrate: true}
	log := &diaryLog{}
	s := serveAll(t, c, log)
	root, err := pgx.Connect(t.Context(), c.Store.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close(t.Context())
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := root.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec(`SET session_replication_role = replica`)
	clinic, err := s.op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	pharmacy, err := s.op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Old Bridge", Identifiers: []string{"urn:npi|1"}})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := s.op.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	post := func(rx string) {
		t.Helper()
		status, body, id := s.call(clinic, "POST", "MedicationRequest", canaryOrder("M-"+rx, rx))
		if status != 201 {
			t.Fatalf("post: %d %s", status, body)
		}
		ids = append(ids, id)
	}
	for _, rx := range []string{"1", "2", "3", "4"} {
		post(rx)
	}
	if now, err := s.op.Status(t.Context()); err != nil || now.Head.Seq != empty.Head.Seq || now.Head.Entries < empty.Head.Entries+4 {
		t.Errorf("posted beside an embedded server: %+v, then %+v, %v; want entries and no sequences", empty.Head, now.Head, err)
	}
	exec(`UPDATE record SET sealed = overlay(sealed PLACING '\x0000' FROM 50) WHERE id = (SELECT record FROM prescription WHERE id = $1)`, ids[1])
	exec(`UPDATE prescription SET status = 'cancelled' WHERE id = $1`, ids[2])
	post("5")
	for i, want := range []int{200, 500, 500, 200, 200} {
		status, body, _ := s.call(clinic, "GET", "MedicationRequest/"+ids[i], "")
		if status != want || want == 500 && !strings.Contains(body, string(fault.CodeDamaged)) {
			t.Errorf("read %d: %d %s, want %d", i, status, body, want)
		}
	}
	status, body, _ := s.call(pharmacy, "GET", "$deliveries?_count=50", "")
	if status != 200 || strings.Count(body, string(fault.CodeDamaged)) != 2 || strings.Count(body, `"resourceType":"MedicationRequest"`) != 3 {
		t.Errorf("deliveries: %d, %d damaged of 5: %s", status, strings.Count(body, string(fault.CodeDamaged)), body)
	}
	// a message about the damaged state is kept in quarantine, and the line goes on
	cite := `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"D"}],"status":"preparation",
 "medicationCodeableConcept":{"text":"x"},"authorizingPrescription":[{"reference":"MedicationRequest/` + ids[2] + `"}]}`
	if status, body, _ := s.call(pharmacy, "POST", "MedicationDispense", cite); status != 422 || !strings.Contains(body, string(fault.CodePoison)) {
		t.Errorf("claim: %d %s", status, body)
	}
	post("6")
	if status, body := get(t, s.URL()+"/readyz"); status != 200 {
		t.Errorf("readyz with a damaged record: %d %s", status, body)
	}
	until(t, "both alarms", func() bool {
		return strings.Count(log.String(), "ledger: damaged") >= 2 && s.scrubber.Status().Passes > 0
	})
	for _, reason := range []string{"reason=digest", "reason=state"} {
		if n := strings.Count(log.String(), reason); n != 1 {
			t.Errorf("%s was told %d times", reason, n)
		}
	}
	if _, body := get(t, s.URL()+"/metrics"); !strings.Contains(body, "dosewire_scrub_damaged") || !strings.Contains(body, "dosewire_reconcile_unaccounted") ||
		!strings.Contains(body, "dosewire_access_unchained_age") ||
		!regexp.MustCompile(`(?m)^dosewire_reconcile_unaccounted.* 0$`).MatchString(body) {
		t.Error("the metrics say nothing about it")
	}

	exec(`DELETE FROM record WHERE idx >= 5`)
	exec(`DELETE FROM ledger WHERE idx >= 5`)
	exec(`UPDATE head SET size = 5, leaf = (SELECT leaf FROM ledger WHERE idx = 4)`)
	began := time.Now()
	until(t, "not ready, and then gone", func() bool {
		resp, err := http.Get(s.URL() + "/readyz")
		if err != nil {
			return true // the recorder was faster: it halts, and the hub ends
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	until(t, "the hub's end", func() bool {
		_, err := http.Get(s.URL() + "/livez")
		return err != nil
	})
	t.Logf("not ready %v after the head was set back", time.Since(began).Round(time.Millisecond))
	if err := s.stop(); !errors.Is(err, ledger.ErrHead) {
		t.Errorf("Run: %v, want ErrHead", err)
	}
	again, err := New(t.Context(), c, Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Run(t.Context()); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a start on it: %v, want tampered", err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(20 * time.Millisecond) { // the hub's own stages work
		if time.Since(began) > 40*time.Second {
			t.Fatalf("%s: not after 40 s", what)
		}
	}
}
