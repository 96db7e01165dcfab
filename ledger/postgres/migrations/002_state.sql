-- What decisions depend on, and what they make happen. No clinical content: identifiers that a client
-- chose are here only as keyed hashes.

-- +goose Up

-- The memory of decided messages: the deduplication that counts.
-- +goose StatementBegin
CREATE TABLE message (
  org    uuid NOT NULL,
  hash   bytea NOT NULL CHECK (octet_length(hash) = 32),   -- HMAC of the message id
  body   bytea NOT NULL CHECK (octet_length(body) = 32),   -- HMAC of the bytes: same id, other bytes is a conflict
  record uuid,               -- NULL: a refusal that left none
  seq    bigint NOT NULL CHECK (seq >= 0),
  answer bytea NOT NULL,                             -- the first decision: codes and paths only
  PRIMARY KEY (org, hash)
);
-- +goose StatementEnd

-- Intake sequences that repeated a decided message: none is unaccounted for.
-- +goose StatementBegin
CREATE TABLE replay (
  epoch bigint NOT NULL,
  seq   bigint NOT NULL,
  sub   bigint NOT NULL CHECK (sub >= 0),                -- message of the sequence
  org   uuid NOT NULL,
  hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (epoch, seq, sub)
);
-- +goose StatementEnd

-- The present state of each prescription.
-- +goose StatementBegin
CREATE TABLE prescription (
  id            uuid NOT NULL PRIMARY KEY,
  clinic        uuid NOT NULL,
  patient       uuid NOT NULL,
  record        uuid NOT NULL,     -- the version in force
  status        text NOT NULL CHECK (status <> ''),
  pharmacy      uuid,       -- NULL: waits for the patient's choice
  holder        uuid,         -- NULL: nobody
  claim         bigint NOT NULL CHECK (claim >= 0),      -- number of the latest claim
  fills_allowed bigint NOT NULL CHECK (fills_allowed >= 0),
  fills_done    bigint NOT NULL CHECK (fills_done >= 0), -- may exceed: a hand-over is a fact
  identity      bytea NOT NULL CHECK (octet_length(identity) = 32),
  group_id      bytea CHECK (octet_length(group_id) = 32),
  due_at        bigint CHECK (due_at > 0),
  version       bigint NOT NULL CHECK (version >= 0),
  state         bytea NOT NULL,                            -- fhir/rx.State as JSON
  UNIQUE (clinic, identity)                               -- one prescription for one business identity
);
-- +goose StatementEnd
CREATE INDEX prescription_patient ON prescription (patient, id);
CREATE INDEX prescription_record ON prescription (record);
CREATE INDEX prescription_due ON prescription (due_at) WHERE due_at IS NOT NULL;

-- One winner for each fill.
-- +goose StatementBegin
CREATE TABLE fill (
  prescription uuid NOT NULL,
  number       bigint NOT NULL CHECK (number >= 1),
  pharmacy     uuid NOT NULL,
  claim        bigint NOT NULL CHECK (claim >= 0),
  record       uuid NOT NULL,      -- the dispense that closed it
  PRIMARY KEY (prescription, number)
);
-- +goose StatementEnd

-- Which claim a pharmacy's dispense identifier serves.
-- +goose StatementBegin
CREATE TABLE dispense (
  pharmacy     uuid NOT NULL,
  hash         bytea NOT NULL CHECK (octet_length(hash) = 32),
  resource     uuid NOT NULL UNIQUE,
  prescription uuid,         -- NULL: the pharmacy's history only
  claim        bigint NOT NULL CHECK (claim >= 0),
  status       text NOT NULL CHECK (status <> ''),        -- MedicationDispense.status last decided
  version      bigint NOT NULL CHECK (version >= 1),
  PRIMARY KEY (pharmacy, hash)
);
-- +goose StatementEnd
CREATE INDEX dispense_prescription ON dispense (prescription, resource) WHERE prescription IS NOT NULL;

-- What was sent to a pharmacy, and the names under which it may cite it.
-- +goose StatementBegin
CREATE TABLE delivered (
  pharmacy     uuid NOT NULL,
  prescription uuid NOT NULL,
  identifier   bytea CHECK (octet_length(identifier) = 32),
  local        bytea CHECK (octet_length(local) = 32),
  PRIMARY KEY (prescription, pharmacy)
);
-- +goose StatementEnd
CREATE INDEX delivered_identifier ON delivered (pharmacy, identifier) WHERE identifier IS NOT NULL;
CREATE INDEX delivered_local ON delivered (pharmacy, local) WHERE local IS NOT NULL;

-- What decisions make happen outside, numbered without gaps: it can be announced again from here.
-- +goose StatementBegin
CREATE TABLE effect (
  number       bigint PRIMARY KEY CHECK (number >= 1),
  kind         text NOT NULL CHECK (kind IN ('deliver', 'wake')),
  type         text NOT NULL,
  state        text NOT NULL,
  org          uuid,             -- receiver of a delivery
  patient      uuid,         -- receiver of a wake
  record       uuid,
  prescription uuid,
  claim        bigint NOT NULL CHECK (claim >= 0),
  seq          bigint NOT NULL CHECK (seq >= 0),
  idx          bigint,                                   -- NULL: a refusal has no entry
  time         bigint NOT NULL CHECK (time >= 0),
  items        text,                                      -- JSON array; NULL: the bytes as received
  body         bytea,                                      -- our own resource; no patient data
  CHECK (CASE kind WHEN 'deliver' THEN org IS NOT NULL AND (record IS NULL) <> (body IS NULL)
                   ELSE patient IS NOT NULL END)
);
-- +goose StatementEnd
CREATE INDEX effect_org ON effect (org, number) WHERE org IS NOT NULL;

-- Messages that were refused or could not be recorded, sealed under a key that lives for 30 days.
-- +goose StatementBegin
CREATE TABLE quarantine (
  epoch  bigint NOT NULL,
  seq    bigint NOT NULL,
  sub    bigint NOT NULL CHECK (sub >= 0),               -- message of the sequence, entry of a Bundle
  org    uuid NOT NULL,
  key_id uuid NOT NULL,
  code   text NOT NULL,
  time   bigint NOT NULL CHECK (time >= 0),
  sealed bytea NOT NULL,
  PRIMARY KEY (epoch, seq, sub)
);
-- +goose StatementEnd

-- The directory, made by facts.
-- +goose StatementBegin
CREATE TABLE organization (
  id       uuid NOT NULL PRIMARY KEY,
  kind     text NOT NULL CHECK (kind <> ''),
  name     text NOT NULL,
  sandbox  boolean NOT NULL,
  disabled boolean NOT NULL,
  intents  text                                           -- JSON array of fillable intents; NULL: none beyond the usual
);
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE organization_identifier (
  system   text NOT NULL,
  value    text NOT NULL,
  org      uuid NOT NULL REFERENCES organization (id),
  position bigint NOT NULL CHECK (position >= 0),
  PRIMARY KEY (system, value)                             -- an identifier routes to one organisation
);
-- +goose StatementEnd
CREATE INDEX organization_identifier_org ON organization_identifier (org, position);
-- +goose StatementBegin
CREATE TABLE client (
  id       uuid NOT NULL PRIMARY KEY,
  org      uuid NOT NULL REFERENCES organization (id),
  secret   bytea NOT NULL CHECK (octet_length(secret) = 32),     -- SHA-256 of the secret
  disabled boolean NOT NULL
);
-- +goose StatementEnd

-- A patient's standing choice of pharmacy.
-- +goose StatementBegin
CREATE TABLE nomination (
  patient  uuid NOT NULL PRIMARY KEY,
  pharmacy uuid NOT NULL
);
-- +goose StatementEnd

-- Up to which effect each organisation has acknowledged; the zero id is the announcer.
-- +goose StatementBegin
CREATE TABLE acknowledged (
  org    uuid NOT NULL PRIMARY KEY,
  number bigint NOT NULL CHECK (number >= 0)
);
-- +goose StatementEnd
