-- Who may do what. The hub inserts; it updates only present state, and deletes only what ends by
-- itself. Present state can be made again from the records, the ledger cannot.

-- +goose Up

GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO dosewire_hub;
REVOKE INSERT ON goose_db_version, head FROM dosewire_hub;
GRANT UPDATE ON head TO dosewire_hub;
GRANT UPDATE (key_id, sealed, erased_by) ON record TO dosewire_hub;
GRANT UPDATE (idx) ON access TO dosewire_hub;
GRANT UPDATE ON prescription, dispense, organization, organization_identifier, client, nomination, acknowledged,
  invitation, session, device TO dosewire_hub;
GRANT DELETE ON organization_identifier, quarantine, session, invitation TO dosewire_hub;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO dosewire_audit;
