-- Unique indexes and keys of single partitions: unique within the partition, not within the table.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT p.inhparent::regclass::text AS object,
  format('%s makes %s unique within the partition %s alone, not within %s', r.relname,
    coalesce('(' || pglab.listed(pglab.names(i.indrelid, (i.indkey::int2[])[0:i.indnkeyatts - 1])) || ')', 'an expression'),
    i.indrelid::regclass, p.inhparent::regclass) AS what,
  NULL AS remedy, i.indexrelid AS oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pg_index i
JOIN pglab.own_relation r ON r.oid = i.indexrelid AND NOT r.relispartition
JOIN pg_class c ON c.oid = i.indrelid AND c.relispartition
JOIN pg_inherits p ON p.inhrelid = i.indrelid
WHERE i.indisunique
ORDER BY 1, 2
