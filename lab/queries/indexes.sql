-- The indexes that the author's schema made; those of partitions through their root.
-- name, table, bytes (of all partitions), enforces (keeps rows unique or apart: it is needed even if nobody reads it).
-- PostgreSQL 12 and later.
SELECT
  i.indexrelid::regclass::text AS name,
  i.indrelid::regclass::text AS table,
  CASE c.relkind
    WHEN 'I' THEN (SELECT coalesce(sum(pg_relation_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
    ELSE pg_relation_size(c.oid)
  END::float8 AS bytes,
  i.indisunique OR i.indisexclusion OR i.indisreplident AS enforces
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
  AND n.nspname NOT LIKE 'pg\_toast%'
ORDER BY 1
