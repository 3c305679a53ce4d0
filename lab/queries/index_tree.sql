-- The names of an index and, on a partitioned table, of its parts.
SELECT c.relname AS name FROM pg_partition_tree(%(index)s::regclass) t JOIN pg_class c ON c.oid = t.relid
UNION
SELECT c.relname FROM pg_class c WHERE c.oid = %(index)s::regclass
