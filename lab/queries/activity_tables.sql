-- What the server's statistics say of the author's tables since they were reset; partitions through their root.
-- A partition that is dropped takes its counts along.
-- name, updated, hot (of these, without a new index entry), bytes (with TOAST and maps).   PostgreSQL 12 and later.
SELECT
  coalesce(pg_partition_root(s.relid), s.relid)::regclass::text AS name,
  sum(s.n_tup_upd)::float8 AS updated,
  sum(s.n_tup_hot_upd)::float8 AS hot,
  sum(pg_table_size(s.relid))::float8 AS bytes
FROM pg_stat_user_tables s
WHERE s.schemaname NOT IN ('pglab', 'source', 'columnar_internal')
GROUP BY 1
ORDER BY 1
