-- Tables whose rows nothing tells apart: no primary key.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT r.oid::regclass::text AS object, format('table %s has no primary key%s', r.oid::regclass,
    CASE WHEN u.keys IS NULL THEN '' ELSE format(', though %s is unique', u.keys) END) AS what,
  NULL AS remedy, r.oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pglab.own_relation r
LEFT JOIN LATERAL (
  SELECT string_agg(format('(%s)', pglab.listed(pglab.names(i.indrelid, (i.indkey::int2[])[0:i.indnkeyatts - 1]))), ', ') AS keys
  FROM pg_index i
  WHERE i.indrelid = r.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND NOT a.attnotnull
      AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))) u ON true
WHERE r.relkind IN ('r', 'p') AND NOT r.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = r.oid AND k.contype = 'p')
ORDER BY 1
