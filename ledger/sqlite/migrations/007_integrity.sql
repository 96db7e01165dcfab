-- What the reconciler counts: which message of an intake sequence a record stands for. Like seq and
-- epoch it is outside the row digest: it says how a record came, not what it is.

-- +goose Up

ALTER TABLE record ADD COLUMN sub INTEGER NOT NULL DEFAULT 0 CHECK (sub >= 0);

DROP TRIGGER record_only_erasure;
-- +goose StatementBegin
CREATE TRIGGER record_only_erasure BEFORE UPDATE ON record
WHEN OLD.erased_by IS NOT NULL OR NEW.erased_by IS NULL
  OR (NEW.idx, NEW.id, NEW.org, NEW.of, NEW.version, NEW.epoch, NEW.seq, NEW.sub, NEW.type)
  <> (OLD.idx, OLD.id, OLD.org, OLD.of, OLD.version, OLD.epoch, OLD.seq, OLD.sub, OLD.type)
BEGIN SELECT RAISE(ABORT, 'record: can only be erased'); END;
-- +goose StatementEnd
