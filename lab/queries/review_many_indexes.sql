-- Tables with more than eight indexes, every one of which an insert has to write. Eight is a place to look from, not a limit.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT i.indrelid::regclass::text AS object,
  format('%s has %s indexes: %s', i.indrelid::regclass, count(*), string_agg(c.relname, ', ' ORDER BY c.relname)) AS what,
  NULL AS remedy, i.indrelid AS oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pg_index i
JOIN pglab.own_relation r ON r.oid = i.indrelid AND NOT r.relispartition
JOIN pg_class c ON c.oid = i.indexrelid
GROUP BY i.indrelid, r.relname
HAVING count(*) > 8
ORDER BY 1
