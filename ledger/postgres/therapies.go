package postgres

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

// A safety check asks for what has a token in common with its order (migration 010). Each of a few tokens is
// looked up, as the first, second or third of a prescription; what has more, and all of a patient about whom
// many are asked, is looked through. OFFSET 0 keeps the planner from reading the whole table instead.

const (
	// The usual case is one order of a few tokens, which usually finds nothing: looked up in as small a plan as
	// that takes, because its start is most of what it costs. The planner has one index to choose for each part.
	selectTherapiesOfOne = `SELECT ` + prescriptionColumns + deliveredTo + ` FROM (SELECT * FROM prescription WHERE id = ANY (ARRAY (
	      SELECT id FROM prescription WHERE substr(therapy, 1, 12) = ANY ($2) AND substr(therapy, 1, 12) <> ''
	      UNION ALL
	      SELECT id FROM prescription WHERE substr(therapy, 13, 12) = ANY ($2) AND substr(therapy, 13, 12) <> ''
	      UNION ALL
	      SELECT id FROM prescription WHERE substr(therapy, 25, 12) = ANY ($2) AND substr(therapy, 25, 12) <> ''
	      UNION ALL
	      SELECT p.id FROM prescription p, (VALUES ($3::bytea)) a (tokens) WHERE p.patient = $1 AND octet_length(p.therapy) > 36 AND ` + anyCommon + `
	    )) OFFSET 0) p
	  WHERE p.patient = $1 AND ` + taken + ` ORDER BY ` + aliveFirst + ` LIMIT $4`

	// taken are the prescriptions by which a patient may be taking something.
	taken      = `p.status IN ('ready', 'held', 'ready-to-collect', 'on-hold', 'cancel-pending', 'completed', 'expired')`
	aliveFirst = `p.status IN ('completed', 'expired'), p.id DESC`

	anyCommon = `(position(substr(p.therapy, 1, 12) IN a.tokens) > 0 OR octet_length(p.therapy) > 12
	        AND EXISTS (SELECT FROM generate_series(13, octet_length(p.therapy), 12) i WHERE position(substr(p.therapy, i, 12) IN a.tokens) > 0))`

	selectTherapies = `WITH found AS (
	    SELECT p.id FROM unnest($1::uuid[], $2::bytea[]) AS a (patient, token), LATERAL (
	      SELECT p.id, p.patient FROM prescription p WHERE substr(p.therapy, 1, 12) = a.token AND substr(p.therapy, 1, 12) <> ''
	      UNION ALL
	      SELECT p.id, p.patient FROM prescription p WHERE substr(p.therapy, 13, 12) = a.token AND substr(p.therapy, 13, 12) <> ''
	      UNION ALL
	      SELECT p.id, p.patient FROM prescription p WHERE substr(p.therapy, 25, 12) = a.token AND substr(p.therapy, 25, 12) <> ''
	      OFFSET 0) p WHERE p.patient = a.patient
	    UNION
	    SELECT p.id FROM unnest($3::uuid[], $4::bytea[]) AS a (patient, tokens), LATERAL (
	      SELECT p.id FROM prescription p WHERE p.patient = a.patient AND octet_length(p.therapy) > 36 AND ` + anyCommon + ` OFFSET 0) p
	    UNION
	    SELECT p.id FROM unnest($5::uuid[], $6::bytea[]) AS a (patient, tokens), LATERAL (
	      SELECT p.id FROM prescription p WHERE p.patient = a.patient AND p.therapy IS NOT NULL AND ` + anyCommon + ` OFFSET 0) p
	  ), ranked AS (
	    SELECT p.*, row_number() OVER (PARTITION BY p.patient ORDER BY ` + aliveFirst + `) AS nth
	    FROM found, LATERAL (SELECT * FROM prescription p WHERE p.id = found.id OFFSET 0) p
	    WHERE ` + taken + `
	  )
	  SELECT ` + prescriptionColumns + deliveredTo + ` FROM ranked p WHERE p.nth <= $7 ORDER BY p.patient, p.nth`
)

// therapies are those that a safety check compares with.
func (l loader) therapies(asked []ledger.Taking) {
	if len(asked) == 0 {
		return
	}
	few, many := ledger.Sparse(asked)
	patients := func(all []ledger.Taking) []pgtype.UUID {
		return column(all, func(t *ledger.Taking) pgtype.UUID { return id(t.Patient) })
	}
	tokens := func(all []ledger.Taking) [][]byte {
		return column(all, func(t *ledger.Taking) []byte { return blob(t.Tokens) })
	}
	found := func(rows pgx.Rows) error {
		p, err := l.add(rows)
		l.have.Therapies[p.Patient] = append(l.have.Therapies[p.Patient], p.ID)
		return err
	}
	each := ledger.EachToken(few)
	if len(few) == 1 && len(many) == 0 {
		l.ask(selectTherapiesOfOne, found, id(few[0].Patient), tokens(each), blob(few[0].Tokens), ledger.MaxTherapies)
		return
	}
	l.ask(selectTherapies, found, patients(each), tokens(each), patients(few), tokens(few), patients(many), tokens(many), ledger.MaxTherapies)
}

// tokens are those of all prescriptions of a patient, unless there are very many.
func (l loader) tokens(patients []ledger.ID) {
	if len(patients) == 0 {
		return
	}
	l.ask(`SELECT asked.patient, t.tokens FROM unnest($1::uuid[]) AS asked (patient), LATERAL (
	    SELECT coalesce(string_agg(x.therapy, ''), '') AS tokens, count(*) AS n
	    FROM (SELECT p.therapy FROM prescription p WHERE p.patient = asked.patient ORDER BY p.id LIMIT $2 + 1) x) t
	  WHERE t.n <= $2`, func(rows pgx.Rows) error {
		var patient ledger.ID
		var tokens []byte
		err := rows.Scan(idInto{&patient}, &tokens)
		l.have.Tokens[patient] = tokens
		return err
	}, uuids(patients), ledger.MaxTokens)
}
