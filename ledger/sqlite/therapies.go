package sqlite

import (
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// A safety check asks for what has a token in common with its order (migration 010). Each of a few tokens is
// looked up, as the first, second or third of a prescription; what has more, and all of a patient about whom
// many are asked, is looked through. CROSS JOIN keeps the planner from turning the tables round.

const (
	commonOf = ` AND (instr(a.tokens, substr(x.therapy, 1, 12)) > 0 OR length(x.therapy) > 12 AND EXISTS (
	      WITH RECURSIVE at(i) AS (SELECT 13 UNION ALL SELECT i + 12 FROM at WHERE i + 12 < length(x.therapy))
	      SELECT 1 FROM at WHERE instr(a.tokens, substr(x.therapy, i, 12)) > 0))`

	alive = `x.status IN ('ready', 'held', 'ready-to-collect', 'on-hold', 'cancel-pending', 'completed', 'expired')`

	taken = ` FROM n), found(id) AS (`

	ranked = `), ranked AS (
	    SELECT x.rowid AS at, row_number() OVER (PARTITION BY x.patient ORDER BY x.status IN ('completed', 'expired'), x.id DESC) AS nth
	    FROM found CROSS JOIN prescription x ON x.id = found.id WHERE ` + alive + `
	  )
	  SELECT ` + prescriptionColumns + ` FROM ranked CROSS JOIN prescription p ON p.rowid = ranked.at
	  WHERE ranked.nth <= ?4 ORDER BY p.patient, ranked.nth`
)

// ?1 is what is asked, ?2 how many, ?3 the size of each.
const (
	selectFew = asked + `a(patient, tokens) AS MATERIALIZED (SELECT substr(?1, i*?3+1, 16), substr(?1, i*?3+17, ?3-16)` + taken + `
	    SELECT x.id FROM a CROSS JOIN prescription x ON substr(x.therapy, 1, 12) = a.tokens WHERE x.therapy IS NOT NULL AND x.patient = a.patient
	    UNION
	    SELECT x.id FROM a CROSS JOIN prescription x ON substr(x.therapy, 13, 12) = a.tokens WHERE length(x.therapy) > 12 AND x.patient = a.patient
	    UNION
	    SELECT x.id FROM a CROSS JOIN prescription x ON substr(x.therapy, 25, 12) = a.tokens WHERE length(x.therapy) > 24 AND x.patient = a.patient
	    UNION
	    SELECT x.id FROM a CROSS JOIN prescription x ON x.patient = a.patient WHERE length(x.therapy) > 36` + commonOf + ranked
	selectMany = asked + `a(patient, tokens) AS MATERIALIZED (SELECT substr(?1, i*?3+1, 16), substr(?1, i*?3+17, ?3-16)` + taken + `
	    SELECT x.id FROM a CROSS JOIN prescription x ON x.patient = a.patient WHERE x.therapy IS NOT NULL` + commonOf + ranked
)

// therapies are those that a safety check compares with.
func (l loader) therapies(w ledger.Want) error {
	few, many := ledger.Sparse(w.Therapies)
	if err := l.taking(selectFew, ledger.EachToken(few)); err != nil {
		return err
	}
	return l.taking(selectMany, many)
}

func (l loader) taking(query string, all []ledger.Taking) error {
	if len(all) == 0 {
		return nil
	}
	b, size := joinTaken(all)
	return scan(l.ctx, l.tx, func(rows *sql.Rows) error {
		p, err := l.add(rows)
		l.have.Therapies[p.Patient] = append(l.have.Therapies[p.Patient], p.ID)
		return err
	}, query, b, len(all), size, ledger.MaxTherapies)
}

// joinTaken writes what is asked one after another, all of the size of the longest: the patient, tokens, zeros.
func joinTaken(all []ledger.Taking) (b []byte, size int) {
	for i := range all {
		size = max(size, 16+len(all[i].Tokens))
	}
	b = make([]byte, size*len(all))
	for i := range all {
		copy(b[i*size:], all[i].Patient[:])
		copy(b[i*size+16:], all[i].Tokens)
	}
	return b, size
}

// tokens are those of all prescriptions of a patient, unless there are very many.
func (l loader) tokens(w ledger.Want) error {
	for _, patient := range w.Tokens {
		tokens, n := []byte{}, 0
		err := scan(l.ctx, l.tx, func(rows *sql.Rows) error {
			var more []byte
			err := rows.Scan(&more)
			tokens, n = append(tokens, more...), n+1
			return err
		}, `SELECT therapy FROM prescription WHERE patient = ? ORDER BY id LIMIT ?`, patient[:], ledger.MaxTokens+1)
		if err != nil {
			return err
		}
		if n <= ledger.MaxTokens {
			l.have.Tokens[patient] = tokens
		}
	}
	return nil
}
