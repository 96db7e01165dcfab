-- Deleted refusals stay accounted for.

-- +goose Up

-- What was in quarantine and is deleted, by expiry or with its patient: that it was refused, and no more.
-- +goose StatementBegin
CREATE TABLE quarantine_gone (
  epoch INTEGER NOT NULL,
  seq   INTEGER NOT NULL,
  sub   INTEGER NOT NULL CHECK (sub >= 0),
  PRIMARY KEY (epoch, seq, sub)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER quarantine_gone AFTER DELETE ON quarantine
BEGIN INSERT INTO quarantine_gone VALUES (OLD.epoch, OLD.seq, OLD.sub) ON CONFLICT DO NOTHING; END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER quarantine_gone_no_delete BEFORE DELETE ON quarantine_gone BEGIN SELECT RAISE(ABORT, 'quarantine_gone: insert only'); END;
-- +goose StatementEnd
