-- The standbys that stream from this server, and how far behind each is.
-- name, state, sync_state, lag_bytes (written here, not replayed there), lag_s (of what was replayed
-- last; null where nothing was written lately).   PostgreSQL 10 and later.
SELECT
  application_name AS name,
  state,
  sync_state,
  coalesce(pg_current_wal_lsn() - replay_lsn, 0)::bigint AS lag_bytes,
  extract(epoch FROM replay_lag)::float8 AS lag_s
FROM pg_stat_replication
ORDER BY application_name
