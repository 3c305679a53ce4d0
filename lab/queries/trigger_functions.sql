-- Which functions the triggers of tables call, partitions' under their own name.
-- table, function. PostgreSQL 14 and later.
SELECT c.relname AS "table", p.proname AS function
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal
