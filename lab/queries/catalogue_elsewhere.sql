-- Tables that a bare name does not find: rows do not come to them by a stream's name.
-- schema, table. PostgreSQL 14 and later.
SELECT n.nspname AS schema, c.relname AS "table"
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT pg_table_is_visible(c.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
ORDER BY c.oid
