-- Erasure: what must be found by patient, what must be remembered, and what still has to be done.
--
-- A patient is known here by the ids of the keys alone. After an erasure nothing in this file links
-- the shells of a patient's records but the entry that emptied them.

-- +goose Up

-- A patient's records are found by their keys; the rest by record, entry or prescription.
CREATE INDEX record_key ON record (key_id, idx) WHERE key_id IS NOT NULL;
CREATE INDEX message_record ON message (record) WHERE record IS NOT NULL;

-- The shell of an erased effect keeps its number, so that none is missing: the table is made anew
-- for its kind.
-- +goose StatementBegin
CREATE TABLE effect_with_shells (
  number       INTEGER PRIMARY KEY CHECK (number >= 1),
  kind         TEXT NOT NULL CHECK (kind IN ('deliver', 'wake', 'erased')),
  type         TEXT NOT NULL,
  state        TEXT NOT NULL,
  org          BLOB CHECK (length(org) = 16),             -- receiver of a delivery
  patient      BLOB CHECK (length(patient) = 16),         -- receiver of a wake
  record       BLOB REFERENCES record (id),
  prescription BLOB CHECK (length(prescription) = 16),
  claim        INTEGER NOT NULL CHECK (claim >= 0),
  seq          INTEGER NOT NULL CHECK (seq >= 0),
  idx          INTEGER,                                   -- NULL: a refusal has no entry
  time         INTEGER NOT NULL CHECK (time >= 0),
  items        TEXT,                                      -- JSON array; NULL: the bytes as received
  body         BLOB,                                      -- our own resource; no patient data
  CHECK (CASE kind WHEN 'deliver' THEN org IS NOT NULL AND (record IS NULL) <> (body IS NULL)
                   WHEN 'wake' THEN patient IS NOT NULL
                   ELSE coalesce(org, patient, record, prescription, idx, items, body) IS NULL AND type = '' AND state = '' AND claim = 0 END)
) STRICT;
-- +goose StatementEnd
INSERT INTO effect_with_shells SELECT number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body FROM effect;
DROP TABLE effect;
ALTER TABLE effect_with_shells RENAME TO effect;
CREATE INDEX effect_org ON effect (org, number) WHERE org IS NOT NULL;
CREATE INDEX effect_idx ON effect (idx) WHERE idx IS NOT NULL;
CREATE INDEX effect_outcome ON effect (prescription) WHERE idx IS NULL AND prescription IS NOT NULL;
CREATE INDEX quarantine_time ON quarantine (time);

-- Keys that were deleted for ever. One that is in the key database again came back from a backup.
-- +goose StatementBegin
CREATE TABLE erased_key (
  key_id BLOB NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
  idx    INTEGER NOT NULL REFERENCES ledger (idx)         -- the erasure entry
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- Ids that once named something of an erased patient: gone, not unknown.
-- +goose StatementBegin
CREATE TABLE erased_resource (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- Erasures; job is what is left to do outside this database, NULL once done.
-- +goose StatementBegin
CREATE TABLE erasure (
  idx INTEGER PRIMARY KEY REFERENCES ledger (idx),
  job BLOB
) STRICT;
-- +goose StatementEnd

-- What forbids an erasure. Its reason is in the record of the same id.
-- +goose StatementBegin
CREATE TABLE hold (
  id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  org     BLOB NOT NULL CHECK (length(org) = 16),
  patient BLOB CHECK (length(patient) = 16),              -- NULL: every patient of the organisation
  time    INTEGER NOT NULL CHECK (time >= 0)
) STRICT;
-- +goose StatementEnd
CREATE INDEX hold_org ON hold (org);

-- Patients' requests. The words are in the record of the same id.
-- +goose StatementBegin
CREATE TABLE patient_request (
  id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  patient BLOB NOT NULL CHECK (length(patient) = 16),
  kind    TEXT NOT NULL CHECK (kind IN ('amendment', 'restriction')),
  time    INTEGER NOT NULL CHECK (time >= 0)
) STRICT;
-- +goose StatementEnd
CREATE INDEX patient_request_patient ON patient_request (patient, time);

-- No record is emptied without an erasure entry in the same commit, none is sealed under an erased key,
-- and no key comes back.
-- +goose StatementBegin
CREATE TRIGGER record_erasure_entry BEFORE UPDATE ON record
WHEN NOT EXISTS (SELECT 1 FROM ledger WHERE idx = NEW.erased_by AND substr(entry, 2, 1) = x'02' AND idx >= (SELECT size FROM head))
BEGIN SELECT RAISE(ABORT, 'record: no erasure entry in this commit'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER record_live_key BEFORE INSERT ON record WHEN EXISTS (SELECT 1 FROM erased_key WHERE key_id = NEW.key_id)
BEGIN SELECT RAISE(ABORT, 'record: its key is erased'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER erased_key_no_update BEFORE UPDATE ON erased_key BEGIN SELECT RAISE(ABORT, 'erased_key: insert only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER erased_key_no_delete BEFORE DELETE ON erased_key BEGIN SELECT RAISE(ABORT, 'erased_key: insert only'); END;
-- +goose StatementEnd
