-- The columns of every table that a stream can be named after, partitions left out, in the order they were made.
-- table, name, type (of a domain: the type below it), modifier, not_null, generated (by the server alone), counted
-- (identity or serial from 1 by 1), defaulted, labels (of an enum), checks (of a domain, about VALUE).
-- PostgreSQL 14 and later.
SELECT c.relname AS "table",
       a.attname AS name,
       b.typname AS type,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
       a.attnotnull OR t.typnotnull AS not_null,
       a.attgenerated <> '' AS generated,
       coalesce(s.seqstart = 1 AND s.seqincrement = 1, false) AS counted,
       a.atthasdef OR t.typdefault IS NOT NULL AS defaulted,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) AS labels,
       ARRAY(SELECT pg_get_expr(k.conbin, 0) FROM pg_constraint k
             WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.oid) AS checks
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN LATERAL (
    SELECT q.seqstart, q.seqincrement
    FROM pg_depend p
    JOIN pg_sequence q ON q.seqrelid = p.objid
    WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
      AND p.refobjid = c.oid AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i')
      AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%')
    LIMIT 1
) s ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%'
  AND pg_table_is_visible(c.oid)
ORDER BY c.oid, a.attnum
