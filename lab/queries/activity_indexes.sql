-- How often the author's indexes have been scanned since the statistics were reset; partitions through their root.
-- name, scans.   PostgreSQL 12 and later.
SELECT
  coalesce(pg_partition_root(s.indexrelid), s.indexrelid)::regclass::text AS name,
  sum(s.idx_scan)::float8 AS scans
FROM pg_stat_user_indexes s
WHERE s.schemaname NOT IN ('pglab', 'source', 'columnar_internal')
GROUP BY 1
ORDER BY 1
