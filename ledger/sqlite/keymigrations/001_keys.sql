-- The second database: wrapped keys and the patient index. It is backed up for days only, so that an
-- erased patient's key is gone everywhere soon. Nothing here names a record.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE deployment (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  blob BLOB NOT NULL CHECK (length(blob) > 0) -- the deployment key, wrapped
) STRICT;
-- +goose StatementEnd

-- A data key, wrapped under the deployment key with AAD = org ‖ id. A patient's newest key seals new
-- records; older ones stay for old records.
-- +goose StatementBegin
CREATE TABLE patient_key (
  id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  patient BLOB NOT NULL CHECK (length(patient) = 16),
  org     BLOB NOT NULL CHECK (length(org) = 16),
  blob    BLOB NOT NULL CHECK (length(blob) > 0)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX patient_key_patient ON patient_key (patient, id);

-- The blind index: which patient an identifier belongs to, in one organisation.
-- +goose StatementBegin
CREATE TABLE patient_index (
  org     BLOB NOT NULL CHECK (length(org) = 16),
  hash    BLOB NOT NULL CHECK (length(hash) = 32),
  patient BLOB NOT NULL CHECK (length(patient) = 16),
  PRIMARY KEY (org, hash)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX patient_index_patient ON patient_index (patient);
