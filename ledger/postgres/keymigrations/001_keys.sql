-- The second database: wrapped keys and the patient index. It is backed up for days only, so that an
-- erased patient's key is gone everywhere soon. Nothing here names a record.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE deployment (
  one  bigint PRIMARY KEY CHECK (one = 1),
  blob bytea NOT NULL CHECK (octet_length(blob) > 0) -- the deployment key, wrapped
);
-- +goose StatementEnd

-- A data key, wrapped under the deployment key with AAD = org ‖ id. A patient's newest key seals new
-- records; older ones stay for old records.
-- +goose StatementBegin
CREATE TABLE patient_key (
  id      uuid NOT NULL PRIMARY KEY,
  patient uuid NOT NULL,
  org     uuid NOT NULL,
  blob    bytea NOT NULL CHECK (octet_length(blob) > 0)
);
-- +goose StatementEnd
CREATE INDEX patient_key_patient ON patient_key (patient, id);

-- The blind index: which patient an identifier belongs to, in one organisation.
-- +goose StatementBegin
CREATE TABLE patient_index (
  org     uuid NOT NULL,
  hash    bytea NOT NULL CHECK (octet_length(hash) = 32),
  patient uuid NOT NULL,
  PRIMARY KEY (org, hash)
);
-- +goose StatementEnd
CREATE INDEX patient_index_patient ON patient_index (patient);
