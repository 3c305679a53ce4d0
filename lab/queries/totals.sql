-- Running totals of a server, of which a step's facts are the differences.
-- system (servers that follow one another have the same, and so may others), wal_bytes (the insert
-- position: the written one stands still during a VACUUM; null in recovery), checkpoints, autovacuums
-- (workers at this moment), autovacuumed (table -> how often autovacuum has vacuumed or analysed it, of this
-- database; a table that is dropped takes its number with it).
-- PostgreSQL 17 and later.
SELECT
  (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint END AS wal_bytes,
  (SELECT num_timed + num_requested FROM pg_stat_checkpointer) AS checkpoints,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker') AS autovacuums,
  (
    SELECT coalesce(json_object_agg(c.oid, n), '{}')
    FROM pg_class c, LATERAL (SELECT pg_stat_get_autovacuum_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid)) s(n)
    WHERE c.relkind IN ('r', 't', 'm') AND n > 0
  ) AS autovacuumed
