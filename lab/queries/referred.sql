-- Foreign keys between the roots of tables: of a partition, the table that it is of.
-- child, parent: bare names. PostgreSQL 12 and later.
SELECT DISTINCT child.relname AS child, parent.relname AS parent
FROM pg_constraint k
JOIN pg_class child ON child.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
JOIN pg_class parent ON parent.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
WHERE k.contype = 'f'
