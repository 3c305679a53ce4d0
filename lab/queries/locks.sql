-- Relations that this backend holds locked, the look itself left out.
-- locks, misses (not in the backend's fast-path slots: these go through the shared lock table).
SELECT count(*)::float8 AS locks, count(*) FILTER (WHERE NOT fastpath)::float8 AS misses
FROM pg_locks
WHERE pid = pg_backend_pid()
  AND locktype = 'relation'
  AND relation <> 'pg_locks'::regclass
