-- Foreign keys, and whether an index begins with any of their columns: without one, who deletes a row that is
-- referred to, or changes its key, has the whole referring table read. One that begins with a part of the key, such as
-- the tenant, may leave many rows to read, but not all.
-- name, table, referred, indexed, bytes (of the referring table's rows, without TOAST).   PostgreSQL 12 and later.
SELECT
  k.conname AS name,
  k.conrelid::regclass::text AS table,
  k.confrelid::regclass::text AS referred,
  EXISTS (
    SELECT FROM pg_index i
    JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_am a ON a.oid = x.relam
    WHERE i.indrelid = k.conrelid
      AND a.amname IN ('btree', 'hash')
      AND i.indisvalid
      AND i.indpred IS NULL
      AND i.indkey[0] = ANY (k.conkey)
  ) AS indexed,
  CASE c.relkind
    WHEN 'p' THEN (SELECT coalesce(sum(pg_relation_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
    ELSE pg_relation_size(c.oid)
  END::float8 AS bytes
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f'
  AND k.conparentid = 0
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
ORDER BY 2, 1
