-- The columns of one table, for matching rows to it.
-- name, type and its schema (of a domain: the type below it), precision and scale of numeric, generated, enumerated.
SELECT c.column_name AS name,
       c.udt_name AS type,
       c.numeric_precision AS precision,
       c.numeric_scale AS scale,
       c.is_generated = 'ALWAYS' AS generated,
       t.typtype = 'e' AS enumerated,
       c.udt_schema AS schema
FROM information_schema.columns c
JOIN pg_namespace n ON n.nspname = c.udt_schema
JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = c.udt_name
WHERE c.table_schema = %(schema)s AND c.table_name = %(table)s
ORDER BY c.ordinal_position
