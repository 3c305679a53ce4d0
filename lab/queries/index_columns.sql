-- The columns of every B-tree of the author's, where all are bare columns: what a plan is sorted by that reads one.
-- name, columns.   PostgreSQL 11 and later.
SELECT i.relname AS name, array_agg(a.attname::text ORDER BY k.n) AS columns
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
JOIN pg_namespace n ON n.oid = i.relnamespace
CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
WHERE x.indexprs IS NULL AND k.n <= x.indnkeyatts
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
GROUP BY i.oid, i.relname
