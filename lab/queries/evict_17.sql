-- The same in PostgreSQL 17, buffer by buffer.
-- held.   pg_buffercache in schema pglab.
SELECT count(*) FILTER (WHERE NOT pglab.pg_buffercache_evict(bufferid)) AS held
FROM pglab.pg_buffercache
WHERE relfilenode IS NOT NULL
