-- The keys, unique indexes, foreign keys and CHECKs of every table that a stream can be named after.
-- table, kind (u: unique, f: foreign key, c: CHECK), columns, other (the table referred to), theirs (its columns), text
-- (of a CHECK), cascades (rows are deleted with those they refer to). PostgreSQL 14 and later.
SELECT r."table", r.kind, r.columns, r.other, r.theirs, r.text, r.cascades
FROM (
    SELECT c.oid, c.relname AS "table", 'u' AS kind, NOT i.indisprimary AS later, i.indexrelid AS id,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                 WHERE k.n <= i.indnkeyatts ORDER BY k.n) AS columns,
           NULL AS other, NULL::text[] AS theirs, '' AS text, false AS cascades
    FROM pg_class c
    JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indexprs IS NULL
    WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    UNION ALL
    SELECT c.oid, c.relname, k.kind, true, min(k.oid), k.columns, k.other, k.theirs, k.text, bool_or(k.cascades)
    FROM (  -- foreign keys of partitions alone are the whole table's for whoever makes its rows
        SELECT coalesce(pg_partition_root(p.oid), p.oid) AS root, k.oid, k.contype::text AS kind,
               ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY x(attnum, n)
                     JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = x.attnum ORDER BY x.n) AS columns,
               (SELECT o.relname FROM pg_class o WHERE o.oid = k.confrelid) AS other,
               ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY x(attnum, n)
                     JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.attnum ORDER BY x.n) AS theirs,
               coalesce(pg_get_expr(k.conbin, k.conrelid), '') AS text,
               k.confdeltype = 'c' AS cascades
        FROM pg_constraint k
        JOIN pg_class p ON p.oid = k.conrelid
        WHERE k.conparentid = 0 AND (k.contype = 'f' OR (k.contype = 'c' AND NOT p.relispartition))
    ) k
    JOIN pg_class c ON c.oid = k.root
    WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    GROUP BY c.oid, c.relname, k.kind, k.columns, k.other, k.theirs, k.text
) r
JOIN pg_class c ON c.oid = r.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
ORDER BY r.oid, r.later, r.id
