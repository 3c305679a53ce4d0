-- How far a server has come in its stream of WAL: flushed where it writes, replayed where it follows.
-- recovering, bytes.
SELECT
  pg_is_in_recovery() AS recovering,
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
    - '0/0'::pg_lsn)::bigint AS bytes
