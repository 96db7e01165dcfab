-- Which patients of several organisations are one person. State of the recorder, made of its records alone:
-- rows change only with the entry of a fact.
--
-- A patient has one row at most, so belongs to one person; it is symmetric, because a person is named by no
-- patient; a person is named by the record that began it. That nobody is linked with nobody but itself is
-- looked at in every commit that changes a link.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE patient_link (
  patient BLOB NOT NULL PRIMARY KEY CHECK (length(patient) = 16),
  person  BLOB NOT NULL REFERENCES record (id),
  CHECK (patient <> person)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX patient_link_person ON patient_link (person);

-- Who used an invitation to add what it opens to an inbox that was open already.
ALTER TABLE invitation ADD COLUMN joined_by BLOB
  CHECK (joined_by IS NULL OR length(joined_by) = 16 AND used_at IS NOT NULL AND joined_by <> patient);
CREATE INDEX invitation_joined ON invitation (joined_by) WHERE joined_by IS NOT NULL;

-- A wake about no prescription is found by its patient when the patient is erased.
CREATE INDEX effect_linked ON effect (patient) WHERE kind = 'wake' AND prescription IS NULL;
