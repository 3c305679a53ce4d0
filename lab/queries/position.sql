-- Where WAL will be written next, and the next transaction id: two readings give what a load took.
-- lsn, xid.   PostgreSQL 13 and later.
SELECT pg_current_wal_insert_lsn() AS lsn, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid
