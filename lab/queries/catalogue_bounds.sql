-- The bounds of the partitions of every table that a stream can be named after, where its key is a single column.
-- table, column, bounds. PostgreSQL 14 and later.
SELECT c.relname AS "table",
       a.attname AS column,
       array_agg(pg_get_expr(l.relpartbound, l.oid) ORDER BY l.oid) AS bounds
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_partitioned_table p ON p.partrelid = c.oid AND p.partnatts = 1 AND p.partstrat IN ('r', 'l')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
JOIN pg_inherits i ON i.inhparent = c.oid
JOIN pg_class l ON l.oid = i.inhrelid
WHERE NOT c.relispartition AND pg_table_is_visible(c.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
GROUP BY c.oid, c.relname, a.attname
ORDER BY c.oid
