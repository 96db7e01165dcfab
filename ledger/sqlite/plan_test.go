package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestPlans: what is asked for every claim, and while a pharmacy does not fetch, finds its rows by an index and does
// not look through a table, however the planner guesses.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	if err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, q := range map[string]string{"citations": citedQuery, "not fetched": unfetchedQuery} {
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q, make([]any, strings.Count(q, "?3")+2)...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer rows.Close()
		steps := 0
		for ; rows.Next(); steps++ {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			for _, table := range []string{"d", "p", "e"} {
				if step == "SCAN "+table || strings.HasPrefix(step, "SCAN "+table+" ") {
					t.Errorf("%s: %s", name, step)
				}
			}
			if strings.Contains(step, "AUTOMATIC") {
				t.Errorf("%s: %s", name, step)
			}
		}
		if err := rows.Err(); err != nil || steps == 0 {
			t.Errorf("%s: %d steps, %v", name, steps, err)
		}
	}
}
