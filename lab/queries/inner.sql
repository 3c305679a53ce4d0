-- What other servers have asked of this one since the last reset: everything but the lab's own.
-- calls, blocks (found and read), wal_bytes, temp_bytes.
-- PostgreSQL 13 and later, pg_stat_statements in schema pglab; asked as the lab's superuser.
SELECT
  coalesce(sum(calls), 0)::float8 AS calls,
  coalesce(sum(shared_blks_hit + shared_blks_read), 0)::float8 AS blocks,
  coalesce(sum(wal_bytes), 0)::float8 AS wal_bytes,
  coalesce(sum(temp_blks_read + temp_blks_written), 0)::float8 * current_setting('block_size')::int AS temp_bytes
FROM pglab.pg_stat_statements
WHERE userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
