-- Partitions and the partitioned table at the top of their tree.
-- schema, name, root_schema, root_name.   PostgreSQL 12 and later.
SELECT n.nspname AS schema, c.relname AS name, m.nspname AS root_schema, r.relname AS root_name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = pg_partition_root(c.oid)
JOIN pg_namespace m ON m.oid = r.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f')
