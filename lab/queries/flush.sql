-- Flushes WAL up to here: pg_get_wal_stats ends where it is flushed, and commits need not wait for that.
-- PostgreSQL 17 and later.
SELECT pg_logical_emit_message(false, 'pglab', '', true)
