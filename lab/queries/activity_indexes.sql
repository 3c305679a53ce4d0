-- How often the author's indexes have been scanned since the statistics were reset; partitions through their root.
-- Those that were never scanned are left out: a schema for each tenant has thousands.
-- name, scans.   PostgreSQL 12 and later.
SELECT
  coalesce(pg_partition_root(s.indexrelid), s.indexrelid)::regclass::text AS name,
  sum(s.idx_scan)::float8 AS scans
FROM pg_stat_user_indexes s
WHERE s.schemaname NOT IN ('pglab', 'source', 'columnar_internal')
GROUP BY 1
HAVING sum(s.idx_scan) > 0
ORDER BY 1
