-- The tables an author's schema made, partitions and their parents' parents apart.
-- (columnar_internal is Citus' own notes of columnar tables.)
-- column: those that have such a column, or all where it is null.
-- schema, name: the roots only; a partitioned table counts through its root.
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
  AND NOT starts_with(n.nspname, 'pg_toast')
  AND NOT starts_with(n.nspname, 'pg_temp')
  AND (
    %(column)s::text IS NULL
    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = %(column)s AND NOT a.attisdropped)
  )
ORDER BY 1, 2
