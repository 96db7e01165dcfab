-- What a safety check compares (docs/safety.md): keyed hashes of the codings of the medicine, 12 bytes each, one
-- after another. NULL: there is nothing to compare. Of what was placed before, it comes with the next change.
--
-- A token is of one patient alone. So a check looks up its own tokens, wherever they may stand, and reads
-- nothing of a patient who takes nothing of the kind: most medicines have three codes at most, and the rest is
-- looked through. The conditions of the indexes do not follow from one another, lest the planner read a whole
-- index to narrow another.

-- +goose Up

ALTER TABLE prescription ADD COLUMN therapy bytea CHECK (octet_length(therapy) > 0 AND octet_length(therapy) % 12 = 0);
CREATE INDEX prescription_therapy_first ON prescription ((substr(therapy, 1, 12))) WHERE substr(therapy, 1, 12) <> '';
CREATE INDEX prescription_therapy_second ON prescription ((substr(therapy, 13, 12))) WHERE substr(therapy, 13, 12) <> '';
CREATE INDEX prescription_therapy_third ON prescription ((substr(therapy, 25, 12))) WHERE substr(therapy, 25, 12) <> '';
CREATE INDEX prescription_therapy_more ON prescription (patient) WHERE octet_length(therapy) > 36;
