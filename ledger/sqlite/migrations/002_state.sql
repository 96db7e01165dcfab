-- What decisions depend on, and what they make happen. No clinical content: identifiers that a client
-- chose are here only as keyed hashes.

-- +goose Up

-- The memory of decided messages: the deduplication that counts.
-- +goose StatementBegin
CREATE TABLE message (
  org    BLOB NOT NULL CHECK (length(org) = 16),
  hash   BLOB NOT NULL CHECK (length(hash) = 32),   -- HMAC of the message id
  body   BLOB NOT NULL CHECK (length(body) = 32),   -- HMAC of the bytes: same id, other bytes is a conflict
  record BLOB REFERENCES record (id),               -- NULL: a refusal that left none
  seq    INTEGER NOT NULL CHECK (seq >= 0),
  answer BLOB NOT NULL,                             -- the first decision: codes and paths only
  PRIMARY KEY (org, hash)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- Intake sequences that repeated a decided message: none is unaccounted for.
-- +goose StatementBegin
CREATE TABLE replay (
  epoch INTEGER NOT NULL,
  seq   INTEGER NOT NULL,
  sub   INTEGER NOT NULL CHECK (sub >= 0),              -- message of the sequence
  org   BLOB NOT NULL CHECK (length(org) = 16),
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (epoch, seq, sub)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- The present state of each prescription.
-- +goose StatementBegin
CREATE TABLE prescription (
  id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  clinic        BLOB NOT NULL CHECK (length(clinic) = 16),
  patient       BLOB NOT NULL CHECK (length(patient) = 16),
  record        BLOB NOT NULL REFERENCES record (id),     -- the version in force
  status        TEXT NOT NULL CHECK (status <> ''),
  pharmacy      BLOB CHECK (length(pharmacy) = 16),       -- NULL: waits for the patient's choice
  holder        BLOB CHECK (length(holder) = 16),         -- NULL: nobody
  claim         INTEGER NOT NULL CHECK (claim >= 0),      -- number of the latest claim
  fills_allowed INTEGER NOT NULL CHECK (fills_allowed >= 0),
  fills_done    INTEGER NOT NULL CHECK (fills_done >= 0), -- may exceed: a hand-over is a fact
  identity      BLOB NOT NULL CHECK (length(identity) = 32),
  group_id      BLOB CHECK (length(group_id) = 32),
  due_at        INTEGER CHECK (due_at > 0),
  version       INTEGER NOT NULL CHECK (version >= 0),
  state         BLOB NOT NULL,                            -- fhir/rx.State as JSON
  UNIQUE (clinic, identity)                               -- one prescription for one business identity
) STRICT;
-- +goose StatementEnd
CREATE INDEX prescription_patient ON prescription (patient, id);
CREATE INDEX prescription_record ON prescription (record);
CREATE INDEX prescription_due ON prescription (due_at) WHERE due_at IS NOT NULL;

-- One winner for each fill.
-- +goose StatementBegin
CREATE TABLE fill (
  prescription BLOB NOT NULL REFERENCES prescription (id),
  number       INTEGER NOT NULL CHECK (number >= 1),
  pharmacy     BLOB NOT NULL CHECK (length(pharmacy) = 16),
  claim        INTEGER NOT NULL CHECK (claim >= 0),
  record       BLOB NOT NULL REFERENCES record (id),      -- the dispense that closed it
  PRIMARY KEY (prescription, number)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- Which claim a pharmacy's dispense identifier serves.
-- +goose StatementBegin
CREATE TABLE dispense (
  pharmacy     BLOB NOT NULL CHECK (length(pharmacy) = 16),
  hash         BLOB NOT NULL CHECK (length(hash) = 32),
  resource     BLOB NOT NULL UNIQUE CHECK (length(resource) = 16),
  prescription BLOB REFERENCES prescription (id),         -- NULL: the pharmacy's history only
  claim        INTEGER NOT NULL CHECK (claim >= 0),
  status       TEXT NOT NULL CHECK (status <> ''),        -- MedicationDispense.status last decided
  version      INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (pharmacy, hash)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX dispense_prescription ON dispense (prescription, resource) WHERE prescription IS NOT NULL;

-- What was sent to a pharmacy, and the names under which it may cite it.
-- +goose StatementBegin
CREATE TABLE delivered (
  pharmacy     BLOB NOT NULL CHECK (length(pharmacy) = 16),
  prescription BLOB NOT NULL REFERENCES prescription (id),
  identifier   BLOB CHECK (length(identifier) = 32),
  local        BLOB CHECK (length(local) = 32),
  PRIMARY KEY (pharmacy, prescription)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX delivered_identifier ON delivered (pharmacy, identifier) WHERE identifier IS NOT NULL;
CREATE INDEX delivered_local ON delivered (pharmacy, local) WHERE local IS NOT NULL;
CREATE INDEX delivered_prescription ON delivered (prescription);

-- What decisions make happen outside, numbered without gaps: it can be announced again from here.
-- +goose StatementBegin
CREATE TABLE effect (
  number       INTEGER PRIMARY KEY CHECK (number >= 1),
  kind         TEXT NOT NULL CHECK (kind IN ('deliver', 'wake')),
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
                   ELSE patient IS NOT NULL END)
) STRICT;
-- +goose StatementEnd
CREATE INDEX effect_org ON effect (org, number) WHERE org IS NOT NULL;

-- Messages that were refused or could not be recorded, sealed under a key that lives for 30 days.
-- +goose StatementBegin
CREATE TABLE quarantine (
  epoch  INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  sub    INTEGER NOT NULL CHECK (sub >= 0),               -- message of the sequence, entry of a Bundle
  org    BLOB NOT NULL CHECK (length(org) = 16),
  key_id BLOB NOT NULL CHECK (length(key_id) = 16),
  code   TEXT NOT NULL,
  time   INTEGER NOT NULL CHECK (time >= 0),
  sealed BLOB NOT NULL,
  PRIMARY KEY (epoch, seq, sub)
) STRICT;
-- +goose StatementEnd

-- The directory, made by facts.
-- +goose StatementBegin
CREATE TABLE organization (
  id       BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  kind     TEXT NOT NULL CHECK (kind <> ''),
  name     TEXT NOT NULL,
  sandbox  INTEGER NOT NULL CHECK (sandbox IN (0, 1)),
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  intents  TEXT                                           -- JSON array of fillable intents; NULL: none beyond the usual
) STRICT;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TABLE organization_identifier (
  system   TEXT NOT NULL,
  value    TEXT NOT NULL,
  org      BLOB NOT NULL REFERENCES organization (id),
  position INTEGER NOT NULL CHECK (position >= 0),
  PRIMARY KEY (system, value)                             -- an identifier routes to one organisation
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX organization_identifier_org ON organization_identifier (org, position);
-- +goose StatementBegin
CREATE TABLE client (
  id       BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  org      BLOB NOT NULL REFERENCES organization (id),
  secret   BLOB NOT NULL CHECK (length(secret) = 32),     -- SHA-256 of the secret
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1))
) STRICT;
-- +goose StatementEnd

-- A patient's standing choice of pharmacy.
-- +goose StatementBegin
CREATE TABLE nomination (
  patient  BLOB NOT NULL PRIMARY KEY CHECK (length(patient) = 16),
  pharmacy BLOB NOT NULL CHECK (length(pharmacy) = 16)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- Up to which effect each organisation has acknowledged; the zero id is the announcer.
-- +goose StatementBegin
CREATE TABLE acknowledged (
  org    BLOB NOT NULL PRIMARY KEY CHECK (length(org) = 16),
  number INTEGER NOT NULL CHECK (number >= 0)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
