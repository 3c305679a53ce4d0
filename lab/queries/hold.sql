-- Holds WAL from here on until this session ends, or lets go of it (release.sql): a checkpoint removes what nobody needs.
-- A row if the slot was made.   PostgreSQL 10 and later, wal_level replica, a free replication slot; not on a standby.
SELECT pg_create_physical_replication_slot(slot, true, true)
FROM (SELECT 'pglab_' || pg_backend_pid()::text AS slot) AS own
WHERE NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = slot)
