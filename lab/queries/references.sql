-- Foreign keys, and whether an index begins with their columns, in any order: without one, who deletes a row
-- that is referred to, or changes its key, has the whole referring table read.
-- name, table, referred, indexed, bytes (of the referring table's rows).   PostgreSQL 12 and later.
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
      AND i.indnkeyatts >= cardinality(k.conkey)
      AND i.indisvalid
      AND i.indpred IS NULL
      AND k.conkey @> (i.indkey::int2[])[0:cardinality(k.conkey) - 1]
      AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
  ) AS indexed,
  CASE c.relkind
    WHEN 'p' THEN (SELECT coalesce(sum(pg_table_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
    ELSE pg_table_size(c.oid)
  END::float8 AS bytes
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f'
  AND k.conparentid = 0
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
ORDER BY 2, 1
