-- The deployment key gets generations, so that it can be replaced without touching a record.

-- +goose Up

-- Generation 0 is the index key, which never changes; 1 and up are deployment keys, the highest wraps
-- new data keys. A generation that wraps nothing any more is deleted.
-- +goose StatementBegin
CREATE TABLE deployment_key (
  generation INTEGER PRIMARY KEY CHECK (generation >= 0),
  id         BLOB NOT NULL CHECK (length(id) = 16),    -- random; zero for a key made before generations
  wrapper    TEXT NOT NULL,                            -- who wrapped it; '' when not noted
  made       INTEGER NOT NULL,                         -- unix ms; 0 when not noted
  blob       BLOB NOT NULL CHECK (length(blob) > 0)
) STRICT;
-- +goose StatementEnd
INSERT INTO deployment_key (generation, id, wrapper, made, blob) SELECT 1, zeroblob(16), '', 0, blob FROM deployment;
DROP TABLE deployment;

-- A key can name a generation only while that is there, so none is retired too early.
-- +goose StatementBegin
CREATE TABLE patient_key_2 (
  id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  patient    BLOB NOT NULL CHECK (length(patient) = 16),
  org        BLOB NOT NULL CHECK (length(org) = 16),
  generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES deployment_key (generation),
  blob       BLOB NOT NULL CHECK (length(blob) > 0)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
INSERT INTO patient_key_2 (id, patient, org, generation, blob) SELECT id, patient, org, 1, blob FROM patient_key;
DROP TABLE patient_key;
ALTER TABLE patient_key_2 RENAME TO patient_key;
CREATE INDEX patient_key_patient ON patient_key (patient, id);
CREATE INDEX patient_key_generation ON patient_key (generation, id);
