package scrub_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/ledger/sqlite"
)

// watched is a store with a watch over it, a clock and an owner of the file who may do everything.
type watched struct {
	*scrub.Scrubber
	t      *testing.T
	store  *sqlite.Store
	root   *sql.DB
	config scrub.Config
	now    time.Time
	log    bytes.Buffer
	head   ledger.Head
}

func watch(t *testing.T, records int) *watched {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.db")
	if err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, now: time.Now()}
	var err error
	if w.store, err = sqlite.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if w.root, err = sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(0)&_pragma=ignore_check_constraints(1)&_pragma=busy_timeout(5000)"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.root.Close() })
	w.head = ledgertest.Fill(t, w.store, records)
	triggers := []string{"ledger_no_update", "ledger_no_delete", "record_no_delete", "record_only_erasure", "record_erasure_entry", "record_live_key",
		"head_moves", "statement_no_update", "statement_no_delete", "access_only_chained", "access_no_delete"}
	for _, name := range triggers {
		w.sql("DROP TRIGGER " + name)
	}
	w.config = scrub.Config{Source: w.store, Origin: ledgertest.Origin, File: filepath.Join(t.TempDir(), "scrub.json"),
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	w.open()
	return w
}

func (w *watched) open() {
	w.t.Helper()
	s, err := scrub.Open(w.t.Context(), w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Scrubber = s
}

func (w *watched) sql(query string, args ...any) {
	w.t.Helper()
	if _, err := w.root.ExecContext(context.Background(), query, args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// tick lets seconds pass, one look in each.
func (w *watched) tick(seconds int) (err error) {
	for range seconds {
		w.now = w.now.Add(time.Second)
		err = w.Tick(context.Background())
	}
	return err
}

// pass ticks until a pass has begun and ended.
func (w *watched) pass() {
	w.t.Helper()
	for n, done := w.Status().Passes, 0; w.Status().Passes < n+2; done++ {
		if done > 1000 {
			w.t.Fatal("no pass in 1000 s")
		}
		_ = w.tick(1) // what it finds is looked at
	}
}

func (w *watched) names() (all []string) {
	for _, d := range w.Damages() {
		all = append(all, fmt.Sprint(d.Name, " ", d.Index))
	}
	return all
}

// Entries of Fill(n): 0 genesis, 1 to n records, then an access and a statement.
func TestGoesOnBehindDamage(t *testing.T) {
	w := watch(t, 300)
	w.pass()
	if w.names() != nil || w.Status().Unaccounted != 0 || w.Healthy() != nil {
		t.Fatalf("untouched: %v %+v", w.names(), w.Status())
	}
	w.sql(`UPDATE record SET org = zeroblob(16) WHERE idx = 3`)
	w.sql(`DELETE FROM record WHERE idx = 120`)
	w.sql(`DELETE FROM ledger WHERE idx BETWEEN 200 AND 203`)
	w.sql(`UPDATE ledger SET entry = zeroblob(114) WHERE idx = 250`)
	w.sql(`UPDATE access SET person = 'nobody'`)
	w.pass()
	want := "[digest 3 missing 120 chain 200 orphan 201 orphan 202 orphan 203 entry 250 orphan 250 digest 301]"
	if got := fmt.Sprint(w.names()); got != strings.Replace(want, "entry 250 orphan 250", "entry 250", 1) {
		t.Errorf("found %s", got)
	}
	told := strings.Count(w.log.String(), "level=ERROR")
	if told != 8 {
		t.Errorf("%d alarms: %s", told, w.log.String())
	}
	w.pass()
	if again := strings.Count(w.log.String(), "level=ERROR"); again != told {
		t.Errorf("%d alarms in the next pass, want none again", again-told)
	}
	if w.Healthy() != nil {
		t.Errorf("damaged rows are no reason not to serve: %v", w.Healthy())
	}
}

func TestRestored(t *testing.T) {
	w := watch(t, 20)
	w.sql(`CREATE TABLE backup AS SELECT * FROM record WHERE idx = 5`)
	w.sql(`DELETE FROM record WHERE idx = 5`)
	w.pass()
	if got := fmt.Sprint(w.names()); got != "[missing 5]" {
		t.Fatalf("found %s", got)
	}
	w.sql(`INSERT INTO record SELECT * FROM backup`)
	w.pass()
	if w.names() != nil || w.Status().Damaged != 0 || !strings.Contains(w.log.String(), "restored") {
		t.Errorf("restored: %v", w.names())
	}
}

// TestErasures: what an erasure emptied is no damage; what was emptied in its name is, and what it emptied
// and is there again.
func TestErasures(t *testing.T) {
	w := watch(t, 20)
	var erased []ledger.Record
	for row, err := range w.store.Rows(t.Context(), 5) {
		if err != nil {
			t.Fatal(err)
		}
		if erased = append(erased, *row.Record); len(erased) == 2 {
			break
		}
	}
	w.sql(`CREATE TABLE backup AS SELECT idx, sealed, key_id FROM record`)
	w.head = ledgertest.Erase(t, w.store, w.head, erased...)
	by := w.head.Size - 1
	w.pass()
	if w.names() != nil {
		t.Fatalf("a lawful erasure: %v", w.names())
	}
	w.sql(`UPDATE record SET sealed = NULL, key_id = NULL, erased_by = ? WHERE idx = 4`, by)
	w.pass()
	if got := fmt.Sprint(w.names()); got != "[erasure 4]" {
		t.Errorf("emptied in its name: %s", got)
	}
	w.sql(`UPDATE record SET (sealed, key_id, erased_by) = (SELECT sealed, key_id, NULL FROM backup b WHERE b.idx = record.idx) WHERE idx = 6`)
	w.pass()
	w.pass()
	if got := fmt.Sprint(w.names()); got != fmt.Sprintf("[erasure 4 returned %d]", by) {
		t.Errorf("one instead of another: %s", got)
	}
	w.sql(`UPDATE record SET sealed = NULL, key_id = NULL, erased_by = ? WHERE idx = 6`, by)
	w.sql(`UPDATE record SET (sealed, key_id, erased_by) = (SELECT sealed, key_id, NULL FROM backup b WHERE b.idx = record.idx) WHERE idx = 4`)
	w.pass()
	if w.names() != nil {
		t.Errorf("restored: %v", w.names())
	}
}

// TestResumes: a restart goes on where the walk was, knows what was damaged, and does not tell it again.
func TestResumes(t *testing.T) {
	w := watch(t, 1000)
	w.sql(`DELETE FROM record WHERE idx = 7`)
	w.config.Floor, w.config.Ceiling = 50, 50
	w.open()
	_ = w.tick(11) // the file is written every ten seconds
	checked := w.Status().Checked
	if checked < 400 || checked > 700 {
		t.Errorf("%d rows in 11 s at 50 a second", checked)
	}
	w.log.Reset()
	w.open()
	if got := fmt.Sprint(w.names()); got != "[missing 7]" {
		t.Errorf("after the restart: %s", got)
	}
	_ = w.tick(11)
	if n := w.Status().Checked + checked; n < 900 || w.Status().Passes > 1 || strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("%d rows and %d passes after the restart: %s", n, w.Status().Passes, w.log.String())
	}
	text, err := os.ReadFile(w.config.File)
	if err != nil || len(text) > 2000 {
		t.Errorf("the position is %d bytes, %v", len(text), err)
	}
	if err := os.WriteFile(w.config.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := scrub.Open(t.Context(), w.config); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a position that cannot be read: %v", err)
	}
}

// TestEveryRowInADay: the rate follows the size, and the row that waits longest is younger than a day.
func TestEveryRowInADay(t *testing.T) {
	w := watch(t, 400)
	w.config.Floor = 1
	w.config.Period = 400 * time.Second // a day in little
	w.open()
	var oldest time.Duration
	for range 2000 {
		_ = w.tick(1)
		oldest = max(oldest, w.Status().Oldest)
	}
	if n := w.Status().Passes; n < 4 || n > 11 {
		t.Errorf("%d passes in 2000 s", n)
	}
	if oldest > 480*time.Second || oldest < 200*time.Second {
		t.Errorf("a row waited %v, want at most 480 s", oldest)
	}
}

func TestHead(t *testing.T) {
	for name, tt := range map[string]struct {
		do func(*watched)
		at uint64
	}{
		"set back": {func(w *watched) {
			e, err := w.store.Entry(t.Context(), 9)
			if err != nil {
				t.Fatal(err)
			}
			leaf := e.Leaf()
			w.sql(`DELETE FROM record WHERE idx >= 10`)
			w.sql(`DELETE FROM ledger WHERE idx >= 10`)
			w.sql(`UPDATE head SET size = 10, leaf = ?`, leaf[:])
		}, 10},
		"another time":          {func(w *watched) { w.sql(`UPDATE head SET time = time + 864000000`) }, 22},
		"another leaf":          {func(w *watched) { w.sql(`UPDATE head SET leaf = zeroblob(32)`) }, 22},
		"the last entry gone":   {func(w *watched) { w.sql(`DELETE FROM ledger WHERE idx = 22`) }, 22},
		"the sequence set back": {func(w *watched) { w.sql(`UPDATE head SET seq = 0`) }, 23},
		"an entry behind it": {func(w *watched) {
			w.sql(`INSERT INTO ledger (idx, entry, leaf) SELECT 23, entry, leaf FROM ledger WHERE idx = 22`)
		}, 23},
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, 20)
			w.pass()
			_ = w.tick(11) // until it is kept
			tt.do(w)
			err := w.tick(1)
			bad, ok := errors.AsType[*ledger.BadEntry](w.Healthy())
			if !errors.Is(err, ledger.ErrHead) || !ok || bad.Index != tt.at || fault.KindOf(err) != fault.Tampered {
				t.Errorf("tick: %v, healthy: %v, want ErrHead at %d", err, w.Healthy(), tt.at)
			}
			_ = w.tick(3)
			if n := strings.Count(w.log.String(), "the head is not what it was"); n != 1 {
				t.Errorf("told %d times", n)
			}
			if _, err := scrub.Open(t.Context(), w.config); !errors.Is(err, ledger.ErrHead) {
				t.Errorf("a start on it: %v, want ErrHead", err)
			}
		})
	}
}

// TestHeadRestored: it is well again when the database is what it was.
func TestHeadRestored(t *testing.T) {
	w := watch(t, 20)
	w.sql(`UPDATE head SET seq = 0`)
	if err := w.tick(1); !errors.Is(err, ledger.ErrHead) {
		t.Fatalf("tick: %v", err)
	}
	w.sql(`UPDATE head SET seq = ?`, w.head.Seq)
	if err := w.tick(1); err != nil || w.Healthy() != nil {
		t.Errorf("restored: %v, %v", err, w.Healthy())
	}
	w.head = ledgertest.Extend(t, w.store, w.head, 5)
	w.pass()
	if w.Healthy() != nil || w.names() != nil || w.Status().Reconciled != w.head.Seq {
		t.Errorf("grown: %v %+v", w.names(), w.Status())
	}
}

func TestReconcile(t *testing.T) {
	w := watch(t, 6) // sequence 1 carried six messages
	parcels := map[uint64]int{1: 6}
	w.config.Parts = func(context.Context, uint64, uint64) (map[uint64]int, error) { return parcels, nil }
	w.open()
	_ = w.tick(1)
	if st := w.Status(); st.Unaccounted != 0 || st.Reconciled != w.head.Seq {
		t.Fatalf("untouched: %+v", st)
	}

	w.head = ledgertest.Extend(t, w.store, w.head, 3)
	parcels[w.head.Seq] = 5 // two of its messages left nothing
	_ = w.tick(1)
	if st := w.Status(); st.Unaccounted != 2 {
		t.Errorf("two of five: %+v", st)
	}

	w.head = ledgertest.Extend(t, w.store, w.head, 3)
	delete(parcels, w.head.Seq)
	w.sql(`CREATE TABLE backup AS SELECT * FROM record WHERE seq = ?`, w.head.Seq)
	w.sql(`UPDATE head SET seq = seq + 4`)
	w.sql(`DELETE FROM record WHERE seq = ?`, w.head.Seq) // of a whole sequence, and four behind it
	_ = w.tick(1)
	if st := w.Status(); st.Unaccounted != 7 || st.Reconciled != w.head.Seq+4 {
		t.Errorf("five more: %+v", st)
	}
	if n := strings.Count(w.log.String(), "not accounted for"); n != 3 {
		t.Errorf("%d alarms, want one for each gap: %s", n, w.log.String())
	}
	w.open() // gaps are kept
	if st := w.Status(); st.Unaccounted != 0 && st.Unaccounted != 7 {
		t.Errorf("after a restart: %+v", st)
	}
	w.sql(`INSERT INTO record SELECT * FROM backup`)
	_ = w.tick(90)
	if st := w.Status(); st.Unaccounted != 6 {
		t.Errorf("restored: %+v, want 6: four sequences and two messages", st)
	}

	w.sql(`UPDATE record SET sub = (SELECT sub FROM record r WHERE r.idx = 2) WHERE idx = 3`)
	w.config.File = "" // from the beginning
	w.open()
	_ = w.tick(1)
	if got := fmt.Sprint(w.names()); !strings.Contains(got, "twice 3") {
		t.Errorf("one message, two records: %s", got)
	}
}

func TestDisclosures(t *testing.T) {
	w := watch(t, 3)
	a := ledger.Access{ID: ledger.ID{1}, Org: ledger.ID{2}, Action: "read", Time: w.now.UnixMilli()}
	if err := w.store.InsertAccess(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_ = w.tick(4)
	if st := w.Status(); st.Waiting != 4*time.Second && st.Waiting.Round(time.Second) != 4*time.Second || strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("after 4 s: %+v %s", st, w.log.String())
	}
	_ = w.tick(10)
	if n := strings.Count(w.log.String(), "reason=unchained"); n != 1 || w.Status().Waiting < 13*time.Second {
		t.Errorf("after 14 s: %d alarms, %+v", n, w.Status())
	}
}

func TestStates(t *testing.T) {
	w := watch(t, 30)
	bad := map[ledger.ID]bool{}
	w.config.State = func(p ledger.Prescription) error {
		if p.Status != "ready" {
			bad[p.ID] = true
			return ledger.ErrState
		}
		return nil
	}
	w.config.Floor, w.config.Ceiling = 7, 7
	w.open()
	w.sql(`UPDATE prescription SET status = 'cancelled' WHERE id IN (SELECT id FROM prescription LIMIT 3)`)
	_ = w.tick(30)
	if len(bad) != 3 || w.Status().Damaged != 3 || strings.Count(w.log.String(), "reason=state") != 3 {
		t.Errorf("%d found, %+v, %s", len(bad), w.Status(), w.log.String())
	}
	w.sql(`UPDATE prescription SET status = 'ready'`)
	_ = w.tick(60)
	if w.Status().Damaged != 0 {
		t.Errorf("restored: %+v", w.Status())
	}
}

// BenchmarkWalk is what a pass costs: rows of 500 bytes.
func BenchmarkWalk(b *testing.B) {
	path := filepath.Join(b.TempDir(), "records.db")
	if err := sqlite.Migrate(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	store, err := sqlite.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	h := ledgertest.Fill(b, store, 1000)
	for range 9 {
		h = ledgertest.Extend(b, store, h, 1000)
	}
	now := time.Now()
	s, err := scrub.Open(b.Context(), scrub.Config{Source: store, Origin: ledgertest.Origin, Floor: 1000, Ceiling: 1000, Rest: time.Nanosecond, Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		now = now.Add(time.Second)
		if err := s.Tick(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Status().Checked)/b.Elapsed().Seconds(), "rows/s")
}
