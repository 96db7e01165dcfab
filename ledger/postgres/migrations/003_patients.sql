-- Sign-in and devices of patients: plain tables, not rebuilt from the ledger. Tokens are kept as
-- SHA-256 only.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE invitation (
  hash    bytea NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
  patient uuid NOT NULL,
  until   bigint NOT NULL,
  used_at bigint                                         -- NULL: not yet; it serves once
);
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE session (
  hash    bytea NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
  patient uuid NOT NULL,
  until   bigint NOT NULL
);
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE device (
  id         uuid NOT NULL PRIMARY KEY,
  patient    uuid NOT NULL,
  transport  text NOT NULL CHECK (transport <> ''),
  key_id     uuid NOT NULL,
  endpoint   bytea NOT NULL,                               -- sealed under the patient's key
  created_at bigint NOT NULL,
  dead       text NOT NULL DEFAULT '',                    -- why it gets no more wakes; '' = live
  dead_at    bigint
);
-- +goose StatementEnd
CREATE INDEX device_patient ON device (patient, id);
-- +goose StatementBegin
CREATE TABLE receipt (
  device   uuid NOT NULL REFERENCES device (id),
  wake     text NOT NULL,
  shown_at bigint NOT NULL,
  PRIMARY KEY (device, wake)
);
-- +goose StatementEnd
