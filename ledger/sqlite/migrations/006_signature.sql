-- +goose Up

-- What is asked of an organisation's signatures, and whom they may lead to (docs/signatures.md).
ALTER TABLE organization ADD COLUMN signature TEXT NOT NULL DEFAULT ''
  CHECK (signature IN ('', 'record', 'require'));         -- '' = off
ALTER TABLE organization ADD COLUMN anchors TEXT NOT NULL DEFAULT ''; -- certificates, PEM
