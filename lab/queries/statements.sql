-- What the marked statements of the mix have cost the server since the last reset.
-- query, calls, plan_ms, exec_ms, blocks (found and read), read (those not in shared buffers), wal_bytes, temp_bytes.
-- PostgreSQL 13 and later, pg_stat_statements in schema pglab with track_planning.
SELECT
  substring(query FROM '/\* pglab::?([a-z0-9_]+) \*/') AS query,
  sum(calls)::float8 AS calls,
  sum(total_plan_time)::float8 AS plan_ms,
  sum(total_exec_time)::float8 AS exec_ms,
  sum(shared_blks_hit + shared_blks_read)::float8 AS blocks,
  sum(shared_blks_read)::float8 AS read,
  sum(wal_bytes)::float8 AS wal_bytes,
  sum(temp_blks_read + temp_blks_written)::float8 * current_setting('block_size')::int AS temp_bytes
FROM pglab.pg_stat_statements
WHERE query LIKE '%/* pglab:%'
  AND dbid IN (
    SELECT oid FROM pg_database
    WHERE datname = current_database() OR starts_with(datname, current_database() || ':')  -- clusters/databases.py
  )
GROUP BY 1
ORDER BY 1
