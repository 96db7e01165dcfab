package postgres

import (
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

// The parameters of an UNNEST statement are columns: one slice for each, made from the rows.

func column[R, V any](rows []R, value func(*R) V) []V {
	c := make([]V, len(rows))
	for i := range rows {
		c[i] = value(&rows[i])
	}
	return c
}

// id is a uuid that is never NULL.
func id(v ledger.ID) pgtype.UUID { return pgtype.UUID{Bytes: v, Valid: true} }

// maybe is NULL for the zero id.
func maybe(v ledger.ID) pgtype.UUID { return pgtype.UUID{Bytes: v, Valid: v != ledger.ID{}} }

// maybeHash is NULL for the zero hash.
func maybeHash(h *ledger.Hash) []byte {
	if *h == (ledger.Hash{}) {
		return nil
	}
	return h[:]
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// list is a JSON array, NULL for nil.
func list[T any](v []T) pgtype.Text {
	if v == nil {
		return pgtype.Text{}
	}
	text, _ := json.Marshal(v) // numbers and strings
	return pgtype.Text{String: string(text), Valid: true}
}

func readList[T any](t pgtype.Text) (v []T, err error) {
	if t.Valid {
		err = json.Unmarshal([]byte(t.String), &v)
	}
	return v, err
}

// uuids is an array parameter.
func uuids(ids []ledger.ID) []pgtype.UUID {
	return column(ids, func(v *ledger.ID) pgtype.UUID { return id(*v) })
}

// keys is two array parameters.
func keys(ks []ledger.Key) (orgs []pgtype.UUID, hashes [][]byte) {
	return column(ks, func(k *ledger.Key) pgtype.UUID { return id(k.Org) }), column(ks, func(k *ledger.Key) []byte { return k.Hash[:] })
}

// asked is what to join with to find rows by key, and its two parameters. A single key needs no function: the planner
// takes it for two constants.
func asked(ks []ledger.Key) (from string, orgs, hashes any) {
	if len(ks) == 1 {
		return `(VALUES ($1::uuid, $2::bytea))`, id(ks[0].Org), ks[0].Hash[:]
	}
	orgs, hashes = keys(ks)
	return `unnest($1::uuid[], $2::bytea[])`, orgs, hashes
}

// idInto scans a uuid, NULL as the zero id.
type idInto struct{ to *ledger.ID }

func (s idInto) ScanUUID(v pgtype.UUID) error {
	*s.to = v.Bytes
	return nil
}

// hashInto scans 32 bytes, NULL as the zero hash.
type hashInto struct{ to *ledger.Hash }

func (s hashInto) ScanBytes(b []byte) error {
	clear(s.to[:])
	copy(s.to[:], b)
	return nil
}

// indexInto scans a ledger index, NULL as NoIndex.
type indexInto struct{ to *uint64 }

func (s indexInto) ScanInt64(v pgtype.Int8) error {
	*s.to = ledger.NoIndex
	if v.Valid {
		*s.to = uint64(v.Int64)
	}
	return nil
}

// timeInto scans milliseconds, NULL as 0.
type timeInto struct{ to *int64 }

func (s timeInto) ScanInt64(v pgtype.Int8) error {
	*s.to = v.Int64
	return nil
}

// collect reads all rows, or those before an error.
func collect[T any](rows pgx.Rows, err error, read func(pgx.Rows) (T, error)) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
