-- What of the author's would not survive a crash: settings as this role has them, and unlogged tables.
-- what.   PostgreSQL 13 and later.
SELECT format('%s = %s', name, setting) AS what
FROM pg_settings
WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'off'
UNION ALL
SELECT format('unlogged table %s', c.oid::regclass)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pglab', 'source')
  AND n.nspname NOT LIKE 'pg\_toast%'
ORDER BY 1
