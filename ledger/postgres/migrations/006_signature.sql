-- +goose Up

-- What is asked of an organisation's signatures, and whom they may lead to (docs/signatures.md).
ALTER TABLE organization ADD COLUMN signature text NOT NULL DEFAULT ''
  CHECK (signature IN ('', 'record', 'require'));         -- '' = off
ALTER TABLE organization ADD COLUMN anchors text NOT NULL DEFAULT ''; -- certificates, PEM
