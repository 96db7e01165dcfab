-- Sign-in and devices of patients: plain tables, not rebuilt from the ledger. Tokens are kept as
-- SHA-256 only.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE invitation (
  hash    BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  patient BLOB NOT NULL CHECK (length(patient) = 16),
  until   INTEGER NOT NULL,
  used_at INTEGER                                         -- NULL: not yet; it serves once
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE session (
  hash    BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  patient BLOB NOT NULL CHECK (length(patient) = 16),
  until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE device (
  id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  patient    BLOB NOT NULL CHECK (length(patient) = 16),
  transport  TEXT NOT NULL CHECK (transport <> ''),
  key_id     BLOB NOT NULL CHECK (length(key_id) = 16),
  endpoint   BLOB NOT NULL,                               -- sealed under the patient's key
  created_at INTEGER NOT NULL,
  dead       TEXT NOT NULL DEFAULT '',                    -- why it gets no more wakes; '' = live
  dead_at    INTEGER
) STRICT;
-- +goose StatementEnd
CREATE INDEX device_patient ON device (patient, id);
-- +goose StatementBegin
CREATE TABLE receipt (
  device   BLOB NOT NULL REFERENCES device (id),
  wake     TEXT NOT NULL,
  shown_at INTEGER NOT NULL,
  PRIMARY KEY (device, wake)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
