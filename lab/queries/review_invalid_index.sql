-- Indexes that no query may use: of a partitioned table, where a partition lacks its part.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT i.indrelid::regclass::text AS object,
  format('index %s is not valid: no query uses it', r.relname)
    || CASE WHEN r.relkind = 'I' THEN ', as partitions lack their part' ELSE '' END AS what,
  CASE WHEN r.relkind = 'i' THEN format('REINDEX INDEX CONCURRENTLY %s;', r.oid::regclass) END AS remedy,
  i.indexrelid AS oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pg_index i
JOIN pglab.own_relation r ON r.oid = i.indexrelid
WHERE NOT i.indisvalid
ORDER BY 1, 2
