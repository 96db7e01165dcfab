-- What the reconciler counts: which message of an intake sequence a record stands for. Like seq and
-- epoch it is outside the row digest: it says how a record came, not what it is.

-- +goose Up

ALTER TABLE record ADD COLUMN sub bigint NOT NULL DEFAULT 0 CHECK (sub >= 0);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION dosewire_record_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF old.erased_by IS NOT NULL OR new.erased_by IS NULL
    OR (new.idx, new.id, new.org, new.of, new.version, new.epoch, new.seq, new.sub, new.type)
    <> (old.idx, old.id, old.org, old.of, old.version, old.epoch, old.seq, old.sub, old.type) THEN
    RAISE EXCEPTION 'record: can only be erased' USING ERRCODE = '42501';
  END IF;
  RETURN new;
END $$;
-- +goose StatementEnd
