-- Where WAL will be written next, the next transaction id, and how many checkpoints there were: two readings give what
-- a load took.
-- lsn, xid, checkpoints.   PostgreSQL 17 and later.
SELECT
  pg_current_wal_insert_lsn() AS lsn,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid,
  (SELECT num_timed + num_requested FROM pg_stat_checkpointer) AS checkpoints
