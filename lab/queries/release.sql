-- Lets go of the WAL before a position, which this session held (hold.sql).   PostgreSQL 11 and later.
SELECT pg_replication_slot_advance(slot_name, %(last)s::pg_lsn)
FROM pg_replication_slots
WHERE slot_name = 'pglab_' || pg_backend_pid()::text AND NOT pg_is_in_recovery()
