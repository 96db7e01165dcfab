-- What a safety check compares (docs/safety.md): keyed hashes of the codings of the medicine, 12 bytes each, one
-- after another. NULL: there is nothing to compare. Of what was placed before, it comes with the next change.
--
-- A token is of one patient alone. So a check looks up its own tokens, wherever they may stand, and reads
-- nothing of a patient who takes nothing of the kind: most medicines have three codes at most, and the rest is
-- looked through.

-- +goose Up

ALTER TABLE prescription ADD COLUMN therapy BLOB CHECK (length(therapy) > 0 AND length(therapy) % 12 = 0);
CREATE INDEX prescription_therapy_first ON prescription (substr(therapy, 1, 12)) WHERE therapy IS NOT NULL;
CREATE INDEX prescription_therapy_second ON prescription (substr(therapy, 13, 12)) WHERE length(therapy) > 12;
CREATE INDEX prescription_therapy_third ON prescription (substr(therapy, 25, 12)) WHERE length(therapy) > 24;
CREATE INDEX prescription_therapy_more ON prescription (patient) WHERE length(therapy) > 36;
