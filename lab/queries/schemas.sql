-- The schemas of a database that are neither the server's nor the lab's.
-- name.
SELECT nspname AS name
FROM pg_namespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND nspname !~ '^pg_(toast|temp)'
ORDER BY 1
