-- Foreign keys over several columns, of which some may be NULL and some may not, or all may be: a row with one NULL
-- is not checked at all (MATCH SIMPLE); and foreign keys of one column that may be NULL.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT k.conrelid::regclass::text AS object,
  format(CASE WHEN cardinality(k.conkey) = 1 THEN '%s.%s refers to %s and may be NULL'
    ELSE '%s.(%s) refers to %s: a row with a NULL in any of them is not checked at all' END,
    k.conrelid::regclass, pglab.listed(n.names), k.confrelid::regclass) AS what,
  (SELECT string_agg(format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;', k.conrelid::regclass, quote_ident(one)), E'\n')
   FROM unnest(n.nullable) one) AS remedy,
  k.oid, 0 AS attnum, n.nullable || k.conname::text AS words
FROM pg_constraint k
JOIN pglab.own_relation r ON r.oid = k.conrelid
CROSS JOIN LATERAL (
  SELECT pglab.names(k.conrelid, k.conkey) AS names,
    pglab.names(k.conrelid, (SELECT array_agg(a.attnum ORDER BY a.attnum) FROM pg_attribute a
      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND NOT a.attnotnull)) AS nullable) n
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confmatchtype = 's' AND n.nullable IS NOT NULL
  AND k.confdeltype NOT IN ('n')
ORDER BY 1, 2
