-- Erasure: what must be found by patient, what must be remembered, and what still has to be done.
--
-- A patient is known here by the ids of the keys alone. After an erasure nothing in this database links
-- the shells of a patient's records but the entry that emptied them.

-- +goose Up

-- A patient's records are found by their keys; the rest by record, entry or prescription.
CREATE INDEX record_key ON record (key_id, idx) WHERE key_id IS NOT NULL;
CREATE INDEX message_record ON message (record) WHERE record IS NOT NULL;
CREATE INDEX effect_idx ON effect (idx) WHERE idx IS NOT NULL;
CREATE INDEX effect_outcome ON effect (prescription) WHERE idx IS NULL AND prescription IS NOT NULL;
CREATE INDEX quarantine_time ON quarantine (time);

-- The shell of an erased effect keeps its number, so that none is missing.
ALTER TABLE effect DROP CONSTRAINT effect_kind_check, DROP CONSTRAINT effect_check;
ALTER TABLE effect ADD CONSTRAINT effect_kind_check CHECK (kind IN ('deliver', 'wake', 'erased')),
  ADD CONSTRAINT effect_check CHECK (CASE kind
    WHEN 'deliver' THEN org IS NOT NULL AND (record IS NULL) <> (body IS NULL)
    WHEN 'wake' THEN patient IS NOT NULL
    ELSE num_nonnulls(org, patient, record, prescription, idx, items, body) = 0 AND type = '' AND state = '' AND claim = 0 END);

-- Keys that were deleted for ever. One that is in the key database again came back from a backup.
CREATE TABLE erased_key (
  key_id uuid PRIMARY KEY,
  idx    bigint NOT NULL REFERENCES ledger (idx)          -- the erasure entry
);

-- Ids that once named something of an erased patient: gone, not unknown.
CREATE TABLE erased_resource (id uuid PRIMARY KEY);

-- Erasures; job is what is left to do outside this database, NULL once done.
CREATE TABLE erasure (
  idx bigint PRIMARY KEY REFERENCES ledger (idx),
  job bytea
);
CREATE INDEX erasure_open ON erasure (idx) WHERE job IS NOT NULL;

-- What forbids an erasure. Its reason is in the record of the same id.
CREATE TABLE hold (
  id      uuid PRIMARY KEY,
  org     uuid NOT NULL,
  patient uuid,                                           -- NULL: every patient of the organisation
  time    bigint NOT NULL CHECK (time >= 0)
);
CREATE INDEX hold_org ON hold (org);

-- Patients' requests. The words are in the record of the same id.
CREATE TABLE patient_request (
  id      uuid PRIMARY KEY,
  patient uuid NOT NULL,
  kind    text NOT NULL CHECK (kind IN ('amendment', 'restriction')),
  time    bigint NOT NULL CHECK (time >= 0)
);
CREATE INDEX patient_request_patient ON patient_request (patient, time);

-- No record is sealed under an erased key.
-- +goose StatementBegin
CREATE FUNCTION dosewire_live_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added n JOIN erased_key e USING (key_id)) THEN
    RAISE EXCEPTION 'record: its key is erased' USING ERRCODE = '23514';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER record_live_key AFTER INSERT ON record REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION dosewire_live_key();
CREATE TRIGGER erased_key_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erased_key FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();

-- dosewire_erase is the only way in which the hub can empty a record, take back what a message or an
-- effect said, or delete a prescription: with the rights of the owner, for one patient, and only beside
-- an erasure entry of the same commit.
--
--   $1 entry   $2 patient   $3 key ids   $4 how many records   $5 resources
--   $6 $7 $8 quarantined: epoch, seq, sub   $9 answer to a repeat   $10 job
-- +goose StatementBegin
CREATE FUNCTION dosewire_erase(bigint, uuid, uuid[], bigint, uuid[], bigint[], bigint[], bigint[], bytea, bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  ids uuid[]; entries bigint[]; rx uuid[];
BEGIN
  IF NOT EXISTS (SELECT FROM ledger l WHERE l.idx = $1 AND get_byte(l.entry, 1) = 2 AND l.idx >= (SELECT size FROM head)) THEN
    RAISE EXCEPTION 'erasure: no erasure entry in this commit' USING ERRCODE = '23514';
  END IF;
  SELECT coalesce(array_agg(r.id), '{}'), coalesce(array_agg(r.idx), '{}') INTO ids, entries FROM record r WHERE r.key_id = ANY ($3);
  IF cardinality(ids) <> $4 THEN
    RAISE EXCEPTION 'erasure: another number of records' USING ERRCODE = '23514';
  END IF;
  SELECT coalesce(array_agg(p.id), '{}') INTO rx FROM prescription p WHERE p.patient = $2;
  UPDATE record SET sealed = NULL, key_id = NULL, erased_by = $1 WHERE id = ANY (ids);
  UPDATE message SET body = decode(repeat('00', 32), 'hex'), record = NULL, answer = $9 WHERE record = ANY (ids);
  UPDATE effect SET kind = 'erased', type = '', state = '', org = NULL, patient = NULL, record = NULL, prescription = NULL,
    claim = 0, idx = NULL, items = NULL, body = NULL
    WHERE effect.idx = ANY (entries) OR effect.idx IS NULL AND effect.prescription = ANY (rx);
  DELETE FROM fill WHERE prescription = ANY (rx);
  DELETE FROM delivered WHERE prescription = ANY (rx);
  DELETE FROM dispense WHERE prescription = ANY (rx) OR resource = ANY ($5);
  DELETE FROM prescription WHERE id = ANY (rx);
  DELETE FROM nomination WHERE patient = $2;
  DELETE FROM receipt WHERE device IN (SELECT d.id FROM device d WHERE d.patient = $2);
  DELETE FROM device WHERE patient = $2;
  DELETE FROM session WHERE patient = $2;
  DELETE FROM invitation WHERE patient = $2;
  DELETE FROM hold WHERE patient = $2;
  DELETE FROM patient_request WHERE patient = $2;
  DELETE FROM quarantine q USING unnest($6, $7, $8) AS x (epoch, seq, sub) WHERE (q.epoch, q.seq, q.sub) = (x.epoch, x.seq, x.sub);
  INSERT INTO erased_resource SELECT unnest($5 || rx) ON CONFLICT DO NOTHING;
  INSERT INTO erased_key SELECT unnest($3), $1;
  INSERT INTO erasure VALUES ($1, $10);
END $$;
-- +goose StatementEnd

-- The hub no longer empties a record by itself. For the new tables: it inserts and reads, ends a hold,
-- and forgets a finished job.
REVOKE UPDATE (key_id, sealed, erased_by) ON record FROM dosewire_hub;
REVOKE EXECUTE ON FUNCTION dosewire_erase(bigint, uuid, uuid[], bigint, uuid[], bigint[], bigint[], bigint[], bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dosewire_erase(bigint, uuid, uuid[], bigint, uuid[], bigint[], bigint[], bigint[], bytea, bytea) TO dosewire_hub;
GRANT SELECT ON erased_key, erased_resource, erasure, hold, patient_request TO dosewire_hub, dosewire_audit;
GRANT INSERT ON hold, patient_request TO dosewire_hub;
GRANT DELETE ON hold TO dosewire_hub;
GRANT UPDATE (job) ON erasure TO dosewire_hub;
