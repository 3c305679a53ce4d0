-- WAL between two positions, records and full-page images apart (they follow different laws:
-- right after a checkpoint the images are most of it).
-- record_bytes, fpi_bytes, records, commits (records that are flushed before anybody is told: commits,
-- and both phases of two-phase commits).   PostgreSQL 15 and later, pg_walinspect in schema pglab.
SELECT
  coalesce(sum(record_size), 0)::float8 AS record_bytes,
  coalesce(sum(fpi_size), 0)::float8 AS fpi_bytes,
  coalesce(sum(count), 0)::float8 AS records,
  coalesce(sum(count) FILTER (
    WHERE "resource_manager/record_type" IN ('Transaction/COMMIT', 'Transaction/PREPARE', 'Transaction/COMMIT_PREPARED')
  ), 0)::float8 AS commits
FROM pglab.pg_get_wal_stats(%(first)s::pg_lsn, %(last)s::pg_lsn, true)
