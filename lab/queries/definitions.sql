-- What may differ of a table between two schemas that both have it, its partitions' own included.
-- table, text. PostgreSQL 14 and later.
SELECT r.relname AS "table", string_agg(d.text, E'\n' ORDER BY d.text) AS text
FROM pg_class c
JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
JOIN pg_namespace n ON n.oid = r.relnamespace
CROSS JOIN LATERAL (
    SELECT concat_ws(' ', c.relname, c.relkind, c.relpersistence, c.reloptions::text, pg_get_partkeydef(c.oid),
                     pg_get_expr(c.relpartbound, c.oid)) AS text
    UNION ALL
    SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                     a.attstorage, a.attcompression, pg_get_expr(f.adbin, f.adrelid))
    FROM pg_attribute a
    LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid
    UNION ALL
    SELECT k.conname || ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = c.oid
    UNION ALL
    SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
) d
WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(r.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
GROUP BY r.oid, r.relname
