-- Partitioned tables with a DEFAULT partition.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT t.partrelid::regclass::text AS object,
  format('%s has the DEFAULT partition %s', t.partrelid::regclass, t.partdefid::regclass) AS what,
  NULL AS remedy, t.partdefid AS oid, 0 AS attnum, ARRAY[d.relname::text] AS words
FROM pg_partitioned_table t
JOIN pglab.own_relation d ON d.oid = t.partdefid
ORDER BY 1
