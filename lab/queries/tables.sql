-- The tables an author's schema made, partitions and their parents' parents apart.
-- (columnar_internal is Citus' own notes of columnar tables.)
-- schema, name: the roots only; a partitioned table counts through its root.
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
  AND n.nspname NOT LIKE 'pg\_toast%'
  AND n.nspname NOT LIKE 'pg\_temp%'
ORDER BY 1, 2
