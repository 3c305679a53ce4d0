-- The author's partition trees, as they are now.
-- root, leaves (the names of all partitions that hold rows).   PostgreSQL 12 and later.
SELECT
  c.oid::regclass::text AS root,
  (SELECT array_agg(l.relname::text ORDER BY l.relname)
   FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf) AS leaves
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p' AND NOT c.relispartition AND n.nspname NOT IN ('pglab', 'source')
ORDER BY 1
