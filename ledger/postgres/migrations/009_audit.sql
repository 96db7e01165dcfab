-- Deleted refusals stay accounted for, the head's time is its last entry's, and who audits reads no more
-- than that takes.
--
-- dosewire_audit is the notary's: entries and the head. dosewire_verify is for whoever walks the rows as
-- well (dosewire verify): sealed records, statements, disclosures. Neither reads sessions, devices, the
-- directory, quarantine or present state.

-- +goose Up

-- What was in quarantine and is deleted, by expiry or with its patient: that it was refused, and no more.
CREATE TABLE quarantine_gone (
  epoch bigint NOT NULL,
  seq   bigint NOT NULL,
  sub   bigint NOT NULL CHECK (sub >= 0),
  PRIMARY KEY (epoch, seq, sub)
);
-- +goose StatementBegin
CREATE FUNCTION dosewire_quarantine_gone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO quarantine_gone SELECT epoch, seq, sub FROM removed ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER quarantine_gone AFTER DELETE ON quarantine REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION dosewire_quarantine_gone();
CREATE TRIGGER quarantine_gone_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quarantine_gone
  FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();
GRANT SELECT ON quarantine_gone TO dosewire_hub;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION dosewire_head_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.size < old.size OR new.deliveries < old.deliveries OR new.term < old.term OR new.epoch < old.epoch
    OR old.size > 0 AND new.origin <> old.origin THEN
    RAISE EXCEPTION 'head: goes back' USING ERRCODE = '23514';
  END IF;
  IF new.time <> old.time AND NOT EXISTS (SELECT FROM ledger l WHERE l.idx = new.size - 1 AND substr(l.entry, 11, 8) = int8send(new.time)) THEN
    RAISE EXCEPTION 'head: another time than its last entry' USING ERRCODE = '23514';
  END IF;
  RETURN new;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dosewire_verify') THEN CREATE ROLE dosewire_verify NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was first
END $$;
-- +goose StatementEnd
REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM dosewire_audit;
GRANT SELECT ON goose_db_version, head, ledger TO dosewire_audit;
GRANT SELECT ON goose_db_version, head, ledger, record, statement, access TO dosewire_verify;
