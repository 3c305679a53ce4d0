-- Running totals of a server, for its series. Sessions tell their share of them once a second at most.
-- wal_bytes (the insert position, null in recovery), checkpoints, autovacuums (workers at this moment),
-- commits, blocks_read and blocks_hit (of this database and those apart), blocks_written (by all processes).
-- PostgreSQL 17 and later.
SELECT
  CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 END AS wal_bytes,
  (SELECT (num_timed + num_requested)::float8 FROM pg_stat_checkpointer) AS checkpoints,
  (SELECT count(*)::float8 FROM pg_stat_get_activity(NULL) WHERE backend_type = 'autovacuum worker') AS autovacuums,
  (SELECT sum(writes)::float8 FROM pg_stat_io WHERE object = 'relation') AS blocks_written,
  sum(xact_commit)::float8 AS commits, sum(blks_read)::float8 AS blocks_read, sum(blks_hit)::float8 AS blocks_hit
FROM pg_stat_database
WHERE datname = current_database() OR starts_with(datname, current_database() || ':')  -- clusters/databases.py
