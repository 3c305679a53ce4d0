-- Foreign keys whose columns are of another type than what they refer to; not of one that is the same to every operator,
-- as text and varchar are.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT k.conrelid::regclass::text AS object,
  format('%s.%s is %s and refers to %s.%s, which is %s', k.conrelid::regclass, quote_ident(a.attname),
    format_type(a.atttypid, a.atttypmod), k.confrelid::regclass, quote_ident(b.attname),
    format_type(b.atttypid, b.atttypmod)) AS what,
  CASE WHEN a.attlen > b.attlen AND b.attlen > 0
    THEN format('ALTER TABLE %s ALTER COLUMN %s TYPE %s;', k.confrelid::regclass, quote_ident(b.attname),
      format_type(a.atttypid, a.atttypmod))
    ELSE format('ALTER TABLE %s ALTER COLUMN %s TYPE %s;', k.conrelid::regclass, quote_ident(a.attname),
      format_type(b.atttypid, b.atttypmod)) END AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pg_constraint k
JOIN pglab.own_relation r ON r.oid = k.conrelid
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS pair (own, other)
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.own
JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.other
WHERE k.contype = 'f' AND k.conparentid = 0 AND a.atttypid <> b.atttypid
  AND (SELECT count(*) FROM pg_cast c WHERE c.castmethod = 'b' AND c.castcontext = 'i'
    AND (c.castsource, c.casttarget) IN ((a.atttypid, b.atttypid), (b.atttypid, a.atttypid))) < 2
ORDER BY 1, 2
