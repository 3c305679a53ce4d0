-- Unique keys with a column that may be NULL: any number of rows may have it NULL.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT i.indrelid::regclass::text AS object,
  format('%s is unique on (%s), of which %s may be NULL: rows with NULL are never the same', r.relname,
    pglab.listed(pglab.names(i.indrelid, n.keys)), pglab.listed(n.nullable)) AS what,
  (SELECT string_agg(format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;', i.indrelid::regclass, quote_ident(one)), E'\n')
   FROM unnest(n.nullable) one) AS remedy,
  coalesce((SELECT k.oid FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'u' LIMIT 1), i.indexrelid) AS oid,
  0 AS attnum, n.nullable || r.relname::text AS words
FROM pg_index i
JOIN pglab.own_relation r ON r.oid = i.indexrelid AND NOT r.relispartition
CROSS JOIN LATERAL (
  SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS keys,
    pglab.names(i.indrelid, (SELECT array_agg(a.attnum ORDER BY a.attnum) FROM pg_attribute a
      WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)) AS nullable) n
WHERE i.indisunique AND NOT i.indnullsnotdistinct AND i.indexprs IS NULL AND i.indpred IS NULL AND n.nullable IS NOT NULL
ORDER BY 1, 2
