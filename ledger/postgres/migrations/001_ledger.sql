-- The ledger and the records that it covers.
--
-- Ids are uuid (version 7), hashes are 32 bytes, times are unix milliseconds. A column that may be
-- absent is NULL, never zero. PostgreSQL computes every leaf itself, and the chain is a foreign key:
-- a fork, a gap or a forged predecessor cannot be inserted.
--
-- Roles: dosewire_hub reads everything and inserts; it updates only what is present state. It owns
-- nothing, so it can neither change nor delete an entry, nor switch a trigger off. dosewire_audit
-- reads. Grant them to login roles: GRANT dosewire_hub TO hub_login.

-- +goose Up

-- +goose StatementBegin
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dosewire_hub') THEN CREATE ROLE dosewire_hub NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dosewire_audit') THEN CREATE ROLE dosewire_audit NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was first
END $$;
-- +goose StatementEnd

CREATE TABLE ledger (
  idx      bigint PRIMARY KEY CHECK (idx >= 0),
  entry    bytea NOT NULL CHECK (octet_length(entry) = 114),
  leaf     bytea NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || entry)) STORED,  -- RFC 6962 leaf hash
  prev_idx bigint GENERATED ALWAYS AS (nullif(idx, 0) - 1) STORED,
  prev     bytea GENERATED ALWAYS AS (substr(entry, 19, 32)) STORED,
  UNIQUE (idx, leaf),
  FOREIGN KEY (prev_idx, prev) REFERENCES ledger (idx, leaf),                           -- the chain
  CHECK (get_byte(entry, 0) = 1),                                                       -- version
  CHECK (get_byte(entry, 1) <= 4),                                                      -- kind
  CHECK ((get_byte(entry, 1) = 0) = (idx = 0)),                                         -- genesis is the first entry and no other
  CHECK (substr(entry, 3, 8) = int8send(idx))                                           -- the entry knows its place
);

-- The one row that is cursor, chain head and fence.
CREATE TABLE head (
  one         boolean PRIMARY KEY CHECK (one),
  epoch       bigint NOT NULL CHECK (epoch >= 1),      -- generation of RX_INTAKE
  seq         bigint NOT NULL CHECK (seq >= 0),        -- last intake sequence decided
  size        bigint NOT NULL CHECK (size >= 0),       -- entries in the chain
  time        bigint NOT NULL CHECK (time >= 0),
  deliveries  bigint NOT NULL CHECK (deliveries >= 0), -- effects numbered so far
  term        bigint NOT NULL CHECK (term >= 0),       -- who may write
  lease_until timestamptz NOT NULL,
  leaf        bytea NOT NULL CHECK (octet_length(leaf) = 32),
  origin      bytea NOT NULL CHECK (octet_length(origin) = 32), -- SHA-256 of the origin line: prev of entry 0
  last        bigint GENERATED ALWAYS AS (nullif(size, 0) - 1) STORED,
  CHECK (size > 0 OR leaf = origin),
  FOREIGN KEY (last, leaf) REFERENCES ledger (idx, leaf)
) WITH (fillfactor = 10);                              -- one row, updated for ever: stay on its page
INSERT INTO head (one, epoch, seq, size, time, deliveries, term, lease_until, leaf, origin)
VALUES (true, 1, 0, 0, 0, 0, 0, '-infinity', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'));

-- One sealed message. Its header columns are inside the row digest and inside the ciphertext's AAD.
CREATE TABLE record (
  idx       bigint PRIMARY KEY CHECK (idx >= 0),                                        -- its entry: see dosewire_advance
  seq       bigint NOT NULL CHECK (seq >= 0),
  epoch     bigint NOT NULL,
  erased_by bigint REFERENCES ledger (idx),                                             -- the erasure entry
  version   int NOT NULL CHECK (version >= 1),
  id        uuid NOT NULL UNIQUE,
  org       uuid NOT NULL,                                                              -- zero: the hub itself
  of        uuid NOT NULL,                                                              -- the resource; equal to id for version 1
  key_id    uuid,
  type      text NOT NULL CHECK (octet_length(type) BETWEEN 1 AND 32),
  sealed    bytea,
  CHECK ((key_id IS NULL) = (erased_by IS NOT NULL)),
  CHECK ((sealed IS NULL) = (erased_by IS NOT NULL))
);
-- Ciphertext does not compress, and a page holds it: keep up to 8 kB beside its row.
ALTER TABLE record ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE record SET (toast_tuple_target = 8160);
CREATE INDEX record_of ON record (of, version);

-- The public text behind genesis and statement entries.
CREATE TABLE statement (
  idx  bigint PRIMARY KEY REFERENCES ledger (idx),
  text text NOT NULL
);

-- One disclosure: stored before plaintext leaves, given its entry by the recorder.
CREATE TABLE access (
  id      uuid PRIMARY KEY,
  time    bigint NOT NULL CHECK (time >= 0),
  idx     bigint UNIQUE REFERENCES ledger (idx),                                        -- NULL until chained
  org     uuid,
  patient uuid,
  client  uuid,
  person  text NOT NULL CHECK (octet_length(person) <= 128),
  purpose text NOT NULL CHECK (octet_length(purpose) <= 32),
  action  text NOT NULL CHECK (octet_length(action) <= 32),
  records bytea NOT NULL CHECK (octet_length(records) % 16 = 0)                         -- ids, one after another
);
CREATE INDEX access_pending ON access (time, id) WHERE idx IS NULL;

-- dosewire_fence locks the head and raises DW001 when it is not what the writer thinks.
-- +goose StatementBegin
CREATE FUNCTION dosewire_fence(bigint, bigint, bigint, bytea, bigint, bigint, bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM head WHERE (epoch, seq, size, leaf, time, deliveries, term) = ($1, $2, $3, $4, $5, $6, $7) FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'head moved' USING ERRCODE = 'DW001'; END IF;
END $$;
-- +goose StatementEnd

-- dosewire_advance moves the head to the end of the chain and renews the lease ($7 milliseconds). The
-- chain has no gaps, so a record below its end has an entry: one look instead of a foreign key on each.
-- +goose StatementBegin
CREATE FUNCTION dosewire_advance(bigint, bigint, bigint, bytea, bigint, bigint, bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE head SET epoch = $1, seq = $2, size = $3, leaf = $4, time = $5, deliveries = $6,
    lease_until = clock_timestamp() + $7 * interval '1 millisecond';
  IF EXISTS (SELECT FROM ledger WHERE idx >= $3) OR EXISTS (SELECT FROM record WHERE idx >= $3) THEN
    RAISE EXCEPTION 'head: is not the end of the chain' USING ERRCODE = '23514';
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION dosewire_head_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.size < old.size OR new.deliveries < old.deliveries OR new.term < old.term OR new.epoch < old.epoch
    OR old.size > 0 AND new.origin <> old.origin THEN
    RAISE EXCEPTION 'head: goes back' USING ERRCODE = '23514';
  END IF;
  RETURN new;
END $$;
-- +goose StatementEnd
CREATE TRIGGER head_moves BEFORE UPDATE ON head FOR EACH ROW EXECUTE FUNCTION dosewire_head_moves();

-- Entry 0 hangs on the origin; times never go back. One check for all rows of a statement.
-- +goose StatementBegin
CREATE FUNCTION dosewire_ledger_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added WHERE idx = 0 AND substr(entry, 19, 32) <> (SELECT origin FROM head)) THEN
    RAISE EXCEPTION 'ledger: entry 0 does not begin at the origin' USING ERRCODE = '23514';
  END IF;
  IF EXISTS (SELECT FROM added n JOIN ledger p ON p.idx = n.idx - 1 WHERE substr(n.entry, 11, 8) < substr(p.entry, 11, 8)) THEN
    RAISE EXCEPTION 'ledger: time goes back' USING ERRCODE = '23514';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_links AFTER INSERT ON ledger REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION dosewire_ledger_links();

-- Insert-only, for whoever has more rights than the hub should have.
-- +goose StatementBegin
CREATE FUNCTION dosewire_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%: insert only', tg_table_name USING ERRCODE = '42501'; END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();
CREATE TRIGGER statement_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON statement FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();
CREATE TRIGGER record_no_delete BEFORE DELETE OR TRUNCATE ON record FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();
CREATE TRIGGER access_no_delete BEFORE DELETE OR TRUNCATE ON access FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();
CREATE TRIGGER head_no_delete BEFORE DELETE OR TRUNCATE ON head FOR EACH STATEMENT EXECUTE FUNCTION dosewire_insert_only();

-- The one change that a record can see is its erasure, and an access its entry.
-- +goose StatementBegin
CREATE FUNCTION dosewire_record_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF old.erased_by IS NOT NULL OR new.erased_by IS NULL
    OR (new.idx, new.id, new.org, new.of, new.version, new.epoch, new.seq, new.type)
    <> (old.idx, old.id, old.org, old.of, old.version, old.epoch, old.seq, old.type) THEN
    RAISE EXCEPTION 'record: can only be erased' USING ERRCODE = '42501';
  END IF;
  RETURN new;
END $$;
-- +goose StatementEnd
CREATE TRIGGER record_only_erasure BEFORE UPDATE ON record FOR EACH ROW EXECUTE FUNCTION dosewire_record_erased();
-- +goose StatementBegin
CREATE FUNCTION dosewire_access_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF old.idx IS NOT NULL OR new.idx IS NULL
    OR (new.id, new.person, new.purpose, new.action, new.records, new.time) <> (old.id, old.person, old.purpose, old.action, old.records, old.time)
    OR new.org IS DISTINCT FROM old.org OR new.patient IS DISTINCT FROM old.patient OR new.client IS DISTINCT FROM old.client THEN
    RAISE EXCEPTION 'access: can only be given its entry' USING ERRCODE = '23514';
  END IF;
  RETURN new;
END $$;
-- +goose StatementEnd
CREATE TRIGGER access_only_chained BEFORE UPDATE ON access FOR EACH ROW EXECUTE FUNCTION dosewire_access_chained();

-- dosewire_chain gives disclosures their entries: each once, none that is unknown.
-- +goose StatementBegin
CREATE FUNCTION dosewire_chain(uuid[], bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  UPDATE access a SET idx = c.idx FROM unnest($1, $2) AS c (id, idx) WHERE a.id = c.id;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality($1) THEN RAISE EXCEPTION 'access: unknown' USING ERRCODE = '23503'; END IF;
END $$;
-- +goose StatementEnd
