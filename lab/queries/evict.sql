-- Every buffer out of shared_buffers, what was changed written first: how many stay because somebody holds them.
-- held.   PostgreSQL 18 and later, pg_buffercache in schema pglab.
SELECT buffers_skipped AS held FROM pglab.pg_buffercache_evict_all()
