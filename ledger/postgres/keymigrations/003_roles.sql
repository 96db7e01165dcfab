-- Who may do what with the keys: the hub reads, adds and deletes them, through a role of their own. Its
-- login in the records database needs dosewire_hub; the two may be one login or two. So that deleted keys
-- leave the files, let it own the two tables of patients as well, or grant MAINTAIN (PostgreSQL 17 on).

-- +goose Up

-- +goose StatementBegin
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dosewire_keys') THEN CREATE ROLE dosewire_keys NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was first
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO dosewire_keys;
REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM dosewire_keys;
