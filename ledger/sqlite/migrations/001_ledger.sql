-- The ledger and the records that it covers.
--
-- Ids are UUIDv7 as 16 bytes, hashes are 32 bytes, times are unix milliseconds. A column that may be
-- absent is NULL, never zero. SQLite cannot compute SHA-256, so the hub writes each leaf and the
-- constraints tie it to its successor; `dosewire verify` recomputes it.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE ledger (
  idx      INTEGER PRIMARY KEY CHECK (idx >= 0),
  entry    BLOB NOT NULL CHECK (length(entry) = 114),
  leaf     BLOB NOT NULL CHECK (length(leaf) = 32),       -- SHA-256(0x00 ‖ entry)
  prev_idx INTEGER GENERATED ALWAYS AS (nullif(idx, 0) - 1) VIRTUAL,
  prev     BLOB GENERATED ALWAYS AS (substr(entry, 19, 32)) VIRTUAL,
  UNIQUE (idx, leaf),
  FOREIGN KEY (prev_idx, prev) REFERENCES ledger (idx, leaf), -- the chain: no fork, no gap, no forgery
  CHECK (substr(entry, 1, 1) = x'01'),                    -- version
  CHECK (substr(entry, 2, 1) <= x'04'),                   -- kind
  CHECK ((substr(entry, 2, 1) = x'00') = (idx = 0)),      -- genesis is the first entry and no other
  CHECK (hex(substr(entry, 3, 8)) = printf('%016X', idx)) -- the entry knows its place
) STRICT;
-- +goose StatementEnd

-- The one row that is cursor, chain head and fence.
-- +goose StatementBegin
CREATE TABLE head (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  epoch       INTEGER NOT NULL CHECK (epoch >= 1),      -- generation of RX_INTAKE
  seq         INTEGER NOT NULL CHECK (seq >= 0),        -- last intake sequence decided
  size        INTEGER NOT NULL CHECK (size >= 0),       -- entries in the chain
  time        INTEGER NOT NULL CHECK (time >= 0),
  deliveries  INTEGER NOT NULL CHECK (deliveries >= 0), -- effects numbered so far
  term        INTEGER NOT NULL CHECK (term >= 0),       -- who may write
  lease_until INTEGER NOT NULL,
  leaf        BLOB NOT NULL CHECK (length(leaf) = 32),
  origin      BLOB NOT NULL CHECK (length(origin) = 32), -- SHA-256 of the origin line: prev of entry 0
  last        INTEGER GENERATED ALWAYS AS (nullif(size, 0) - 1) VIRTUAL,
  CHECK (size > 0 OR leaf = origin),
  FOREIGN KEY (last, leaf) REFERENCES ledger (idx, leaf)
) STRICT;
-- +goose StatementEnd
INSERT INTO head (one, epoch, seq, size, time, deliveries, term, lease_until, leaf, origin)
VALUES (1, 1, 0, 0, 0, 0, 0, 0, zeroblob(32), zeroblob(32));

-- One sealed message. Its header columns are inside the row digest and inside the ciphertext's AAD.
-- +goose StatementBegin
CREATE TABLE record (
  idx       INTEGER PRIMARY KEY REFERENCES ledger (idx),
  id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  org       BLOB NOT NULL CHECK (length(org) = 16),     -- zero: the hub itself
  of        BLOB NOT NULL CHECK (length(of) = 16),      -- the resource; equal to id for version 1
  version   INTEGER NOT NULL CHECK (version >= 1),
  epoch     INTEGER NOT NULL,
  seq       INTEGER NOT NULL CHECK (seq >= 0),
  type      TEXT NOT NULL CHECK (length(CAST(type AS BLOB)) BETWEEN 1 AND 32),
  key_id    BLOB CHECK (length(key_id) = 16),
  erased_by INTEGER REFERENCES ledger (idx),            -- the erasure entry
  sealed    BLOB,
  CHECK ((key_id IS NULL) = (erased_by IS NOT NULL)),
  CHECK ((sealed IS NULL) = (erased_by IS NOT NULL))
) STRICT;
-- +goose StatementEnd
CREATE INDEX record_of ON record (of, version);

-- The public text behind genesis and statement entries.
-- +goose StatementBegin
CREATE TABLE statement (
  idx  INTEGER PRIMARY KEY REFERENCES ledger (idx),
  text TEXT NOT NULL
) STRICT;
-- +goose StatementEnd

-- One disclosure: stored before plaintext leaves, given its entry by the recorder.
-- +goose StatementBegin
CREATE TABLE access (
  id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  org     BLOB CHECK (length(org) = 16),
  patient BLOB CHECK (length(patient) = 16),
  client  BLOB CHECK (length(client) = 16),
  person  TEXT NOT NULL CHECK (length(CAST(person AS BLOB)) <= 128),
  purpose TEXT NOT NULL CHECK (length(CAST(purpose AS BLOB)) <= 32),
  action  TEXT NOT NULL CHECK (length(CAST(action AS BLOB)) <= 32),
  records BLOB NOT NULL CHECK (length(records) % 16 = 0), -- ids, one after another
  time    INTEGER NOT NULL CHECK (time >= 0),
  idx     INTEGER UNIQUE REFERENCES ledger (idx)          -- NULL until chained
) STRICT;
-- +goose StatementEnd
CREATE INDEX access_pending ON access (time, id) WHERE idx IS NULL;

-- Entry 0 hangs on the origin; times never go back.
-- +goose StatementBegin
CREATE TRIGGER ledger_links BEFORE INSERT ON ledger BEGIN
  SELECT RAISE(ABORT, 'ledger: entry 0 does not begin at the origin')
  WHERE NEW.idx = 0 AND substr(NEW.entry, 19, 32) <> (SELECT origin FROM head);
  SELECT RAISE(ABORT, 'ledger: time goes back')
  WHERE substr(NEW.entry, 11, 8) < (SELECT substr(entry, 11, 8) FROM ledger WHERE idx = NEW.idx - 1);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER head_moves AFTER UPDATE ON head BEGIN
  SELECT RAISE(ABORT, 'head: goes back')
  WHERE NEW.size < OLD.size OR NEW.deliveries < OLD.deliveries OR NEW.term < OLD.term OR NEW.epoch < OLD.epoch;
  SELECT RAISE(ABORT, 'head: is not the end of the chain') WHERE EXISTS (SELECT 1 FROM ledger WHERE idx = NEW.size);
  SELECT RAISE(ABORT, 'head: the origin is fixed') WHERE OLD.size > 0 AND NEW.origin <> OLD.origin;
END;
-- +goose StatementEnd

-- Insert-only. Whoever owns the file can drop a trigger: this stops mistakes, the chain shows malice.
-- +goose StatementBegin
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'ledger: insert only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'ledger: insert only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER head_no_delete BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'head: cannot be deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER statement_no_update BEFORE UPDATE ON statement BEGIN SELECT RAISE(ABORT, 'statement: insert only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER statement_no_delete BEFORE DELETE ON statement BEGIN SELECT RAISE(ABORT, 'statement: insert only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER record_no_delete BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'record: cannot be deleted'); END;
-- +goose StatementEnd
-- The one change that a record can see is its erasure.
-- +goose StatementBegin
CREATE TRIGGER record_only_erasure BEFORE UPDATE ON record
WHEN OLD.erased_by IS NOT NULL OR NEW.erased_by IS NULL
  OR (NEW.idx, NEW.id, NEW.org, NEW.of, NEW.version, NEW.epoch, NEW.seq, NEW.type)
  <> (OLD.idx, OLD.id, OLD.org, OLD.of, OLD.version, OLD.epoch, OLD.seq, OLD.type)
BEGIN SELECT RAISE(ABORT, 'record: can only be erased'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER access_only_chained BEFORE UPDATE ON access
WHEN OLD.idx IS NOT NULL OR NEW.idx IS NULL
  OR (NEW.id, NEW.person, NEW.purpose, NEW.action, NEW.records, NEW.time)
  <> (OLD.id, OLD.person, OLD.purpose, OLD.action, OLD.records, OLD.time)
  OR NEW.org IS NOT OLD.org OR NEW.patient IS NOT OLD.patient OR NEW.client IS NOT OLD.client
BEGIN SELECT RAISE(ABORT, 'access: can only be given its entry'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER access_no_delete BEFORE DELETE ON access BEGIN SELECT RAISE(ABORT, 'access: cannot be deleted'); END;
-- +goose StatementEnd
