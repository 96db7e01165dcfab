-- The deployment key gets generations, so that it can be replaced without touching a record.

-- +goose Up

-- Generation 0 is the index key, which never changes; 1 and up are deployment keys, the highest wraps
-- new data keys. A generation that wraps nothing any more is deleted.
-- +goose StatementBegin
CREATE TABLE deployment_key (
  generation bigint PRIMARY KEY CHECK (generation >= 0),
  id         uuid NOT NULL,    -- random; zero for a key made before generations
  wrapper    text NOT NULL,    -- who wrapped it; '' when not noted
  made       bigint NOT NULL,  -- unix ms; 0 when not noted
  blob       bytea NOT NULL CHECK (octet_length(blob) > 0)
);
-- +goose StatementEnd
INSERT INTO deployment_key (generation, id, wrapper, made, blob)
  SELECT 1, '00000000-0000-0000-0000-000000000000', '', 0, blob FROM deployment;
DROP TABLE deployment;

-- A key can name a generation only while that is there, so none is retired too early.
ALTER TABLE patient_key ADD COLUMN generation bigint NOT NULL DEFAULT 1 CHECK (generation > 0)
  CONSTRAINT patient_key_generation_stored REFERENCES deployment_key (generation);
ALTER TABLE patient_key ALTER COLUMN generation DROP DEFAULT;
CREATE INDEX patient_key_generation ON patient_key (generation, id);
