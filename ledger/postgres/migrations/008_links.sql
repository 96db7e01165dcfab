-- Which patients of several organisations are one person. State of the recorder, made of its records alone:
-- rows change only with the entry of a fact.
--
-- A patient has one row at most, so belongs to one person; it is symmetric, because a person is named by no
-- patient; a person is named by the record that began it, and has two patients or more.

-- +goose Up

CREATE TABLE patient_link (
  patient uuid PRIMARY KEY,
  person  uuid NOT NULL REFERENCES record (id),
  CHECK (patient <> person)
);
CREATE INDEX patient_link_person ON patient_link (person);

-- Nobody is linked with nobody but itself.
-- +goose StatementBegin
CREATE FUNCTION dosewire_linked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM patient_link WHERE person = new.person) = 1
    OR (SELECT count(*) FROM patient_link WHERE person = old.person) = 1 THEN
    RAISE EXCEPTION 'patient_link: a person of one patient' USING ERRCODE = '23514';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER patient_link_several AFTER INSERT OR UPDATE OR DELETE ON patient_link
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dosewire_linked();

-- Who used an invitation to add what it opens to an inbox that was open already.
ALTER TABLE invitation ADD COLUMN joined_by uuid
  CHECK (joined_by IS NULL OR used_at IS NOT NULL AND joined_by <> patient);
CREATE INDEX invitation_joined ON invitation (joined_by) WHERE joined_by IS NOT NULL;

-- A wake about no prescription is found by its patient when the patient is erased.
CREATE INDEX effect_linked ON effect (patient) WHERE kind = 'wake' AND prescription IS NULL;

-- As before (005), and the patient's links, what told of them, and the invitations that the patient joined by.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION dosewire_erase(bigint, uuid, uuid[], bigint, uuid[], bigint[], bigint[], bigint[], bytea, bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  ids uuid[]; entries bigint[]; rx uuid[]; belonged uuid;
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
    WHERE effect.idx = ANY (entries) OR effect.idx IS NULL AND effect.prescription = ANY (rx)
      OR effect.kind = 'wake' AND effect.prescription IS NULL AND effect.patient = $2;
  DELETE FROM fill WHERE prescription = ANY (rx);
  DELETE FROM delivered WHERE prescription = ANY (rx);
  DELETE FROM dispense WHERE prescription = ANY (rx) OR resource = ANY ($5);
  DELETE FROM prescription WHERE id = ANY (rx);
  DELETE FROM nomination WHERE patient = $2;
  DELETE FROM receipt WHERE device IN (SELECT d.id FROM device d WHERE d.patient = $2);
  DELETE FROM device WHERE patient = $2;
  DELETE FROM session WHERE patient = $2;
  DELETE FROM invitation WHERE patient = $2;
  DELETE FROM invitation WHERE joined_by = $2;
  DELETE FROM patient_link WHERE patient = $2 RETURNING person INTO belonged;
  DELETE FROM patient_link l WHERE l.person = belonged AND (SELECT count(*) FROM patient_link o WHERE o.person = belonged) = 1;
  DELETE FROM hold WHERE patient = $2;
  DELETE FROM patient_request WHERE patient = $2;
  DELETE FROM quarantine q USING unnest($6, $7, $8) AS x (epoch, seq, sub) WHERE (q.epoch, q.seq, q.sub) = (x.epoch, x.seq, x.sub);
  INSERT INTO erased_resource SELECT unnest($5 || rx) ON CONFLICT DO NOTHING;
  INSERT INTO erased_key SELECT unnest($3), $1;
  INSERT INTO erasure VALUES ($1, $10);
END $$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON patient_link TO dosewire_hub;
GRANT SELECT ON patient_link TO dosewire_audit;
