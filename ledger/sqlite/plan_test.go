package sqlite

import (
	"database/sql"
	"strings"
	"testing"
)

// TestPlans: what is asked for messages, and while a pharmacy does not fetch, finds its rows by an index and does not
// look through a table, however the planner guesses.
func TestPlans(t *testing.T) {
	s, k := open(t), openKeys(t)
	for _, tt := range []struct {
		name, query string
		db          *sql.DB
	}{
		{"named", namedQuery, s.read}, {"cited", citedQuery, s.read}, {"waiting", waitingQuery, s.read}, {"linked", linked, s.read},
		{"not fetched", unfetchedQuery, s.read}, {"newest keys", newestKeyQuery, k.read},
	} {
		steps := plan(t, tt.db, tt.query)
		if len(steps) == 0 {
			t.Errorf("%s: no plan", tt.name)
		}
		for _, step := range steps {
			scanned, scan := strings.CutPrefix(step, "SCAN ")
			table, _, _ := strings.Cut(scanned, " ")
			if scan && !strings.Contains(" n asked found CONSTANT ", " "+table+" ") || strings.Contains(step, "AUTOMATIC") {
				t.Errorf("%s: %s", tt.name, step)
			}
		}
	}
}

// plan is how SQLite would run a query, step by step.
func plan(t *testing.T, db *sql.DB, query string) (steps []string) {
	t.Helper()
	args := []any{[]byte{}, 0, 0}
	if !strings.Contains(query, "?3") {
		args = args[:2]
	}
	err := scan(t.Context(), db, func(rows *sql.Rows) error {
		var id, parent, unused int
		var step string
		err := rows.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}
