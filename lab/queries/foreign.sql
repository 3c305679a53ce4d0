-- Foreign tables, which VACUUM (ANALYZE) of a whole database passes by.
-- schema, name.
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'f'
ORDER BY 1, 2
