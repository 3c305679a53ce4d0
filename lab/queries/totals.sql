-- Running totals of a server, of which a step's facts are the differences.
-- system (servers that follow one another have the same, and so may others), wal_bytes (the insert
-- position: the written one stands still during a VACUUM; null in recovery), checkpoints, autovacuums
-- (workers at this moment).
-- PostgreSQL 17 and later.
SELECT
  (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint END AS wal_bytes,
  (SELECT num_timed + num_requested FROM pg_stat_checkpointer) AS checkpoints,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker') AS autovacuums
