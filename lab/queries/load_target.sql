-- What of a table bears on how rows may come in.
-- kind (pg_class.relkind), persistence (pg_class.relpersistence), partition (of a partitioned table).
-- PostgreSQL 10 and later.
SELECT c.relkind::text AS kind, c.relpersistence::text AS persistence, c.relispartition AS partition
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
