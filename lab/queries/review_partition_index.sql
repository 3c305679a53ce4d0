-- Indexes of single partitions that are not part of an index of the partitioned table; unique ones are told apart
-- by review_partition_unique.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT p.inhparent::regclass::text AS object,
  format('index %s is on the partition %s alone: partitions to come will not have it', r.relname, i.indrelid::regclass) AS what,
  format('CREATE INDEX ON %s %s;', p.inhparent::regclass, substring(pg_get_indexdef(i.indexrelid) FROM 'USING .*')) AS remedy,
  i.indexrelid AS oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pg_index i
JOIN pglab.own_relation r ON r.oid = i.indexrelid AND NOT r.relispartition
JOIN pg_class c ON c.oid = i.indrelid AND c.relispartition
JOIN pg_inherits p ON p.inhrelid = i.indrelid
WHERE NOT i.indisunique
ORDER BY 1, 2
