-- Bytes of everything the author's schema made, by what they are.
-- What Citus notes of columnar tables counts once there is something.
-- heap_bytes (with its maps), index_bytes, toast_bytes (with its index), relations, pages of the largest heap.
SELECT
  coalesce(sum(pg_table_size(c.oid) - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0)), 0)::float8
    AS heap_bytes,
  coalesce(sum(pg_indexes_size(c.oid)), 0)::float8 AS index_bytes,
  coalesce(sum(pg_total_relation_size(nullif(c.reltoastrelid, 0))), 0)::float8 AS toast_bytes,
  count(*)::float8 AS tables
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source')
  AND n.nspname NOT LIKE 'pg\_toast%'
  AND (n.nspname <> 'columnar_internal' OR pg_relation_size(c.oid) > 0)
