-- Running totals of a server since its statistics were reset.
-- since (the reset), checkpoints, wal_records, wal_fpi (full-page images), hits and reads (blocks of this database
-- that were in shared buffers, and that the system was asked for: pg_stat_io counts requests, of several blocks).
-- PostgreSQL 17 and later.
SELECT
  d.stats_reset::text AS since,
  (SELECT (num_timed + num_requested)::float8 FROM pg_stat_checkpointer) AS checkpoints,
  (SELECT wal_records::float8 FROM pg_stat_wal) AS wal_records,
  (SELECT wal_fpi::float8 FROM pg_stat_wal) AS wal_fpi,
  d.blks_hit::float8 AS hits,
  d.blks_read::float8 AS reads
FROM pg_stat_database d
WHERE d.datname = current_database()
