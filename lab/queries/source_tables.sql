-- The tables of a server that is read for `pglab init --from`, partitions and what extensions made left out.
-- schema, table, rows (as last counted; NULL where nobody has), readable (may this role know its statistics?).
-- PostgreSQL 12 and later.
SELECT n.nspname AS schema,
       c.relname AS "table",
       nullif(greatest(CASE WHEN c.relkind = 'p' THEN leaves.rows ELSE c.reltuples END, 0), 0)::float8 AS rows,
       has_any_column_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AS readable
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT sum(greatest(l.reltuples, 0)) AS rows
    FROM pg_partition_tree(c.oid) t
    JOIN pg_class l ON l.oid = t.relid
    WHERE t.isleaf
) leaves ON c.relkind = 'p'
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid
