-- What an entry must hang on is one question, which every commit pays. Each entry looks up the one before it by
-- its index: no join that could be planned from the side of the whole ledger.

-- +goose Up

-- Entry 0 hangs on the origin; times never go back. One check for all rows of a statement. An entry without
-- one before it is the foreign key's to refuse.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION dosewire_ledger_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added n WHERE CASE n.idx
      WHEN 0 THEN substr(n.entry, 19, 32) <> (SELECT origin FROM head)
      ELSE substr(n.entry, 11, 8) < (SELECT substr(p.entry, 11, 8) FROM ledger p WHERE p.idx = n.idx - 1) END) THEN
    RAISE EXCEPTION 'ledger: time goes back, or entry 0 does not begin at the origin' USING ERRCODE = '23514';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
