-- Running totals of a server, of which a step's facts are the differences.
-- wal_bytes (the insert position: the written one stands still during a VACUUM), checkpoints,
-- autovacuums (workers at this moment).   PostgreSQL 17 and later.
SELECT
  (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal_bytes,
  (SELECT num_timed + num_requested FROM pg_stat_checkpointer) AS checkpoints,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker') AS autovacuums
