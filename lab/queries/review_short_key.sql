-- Keys that are numbered by a sequence and run out: columns of two or four bytes, or wider ones whose sequence is not.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  CASE WHEN a.atttypid = 'int8'::regtype
    THEN format('%s.%s is bigint, but its sequence %s is %s and ends at %s', a.relation, quote_ident(a.attname), s.seqrelid::regclass,
      format_type(s.seqtypid, NULL), s.seqmax)
    ELSE format('%s.%s is %s and numbered by a sequence: its last number is %s', a.relation, quote_ident(a.attname),
      format_type(a.atttypid, NULL), CASE a.atttypid WHEN 'int2'::regtype THEN 32767 ELSE 2147483647 END) END AS what,
  concat_ws(E'\n',
    CASE WHEN a.atttypid <> 'int8'::regtype
      THEN format('ALTER TABLE %s ALTER COLUMN %s TYPE bigint;', a.relation, quote_ident(a.attname)) END,
    CASE WHEN a.attidentity = '' AND s.seqtypid <> 'int8'::regtype
      THEN format('ALTER SEQUENCE %s AS bigint;', s.seqrelid::regclass) END) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
  OR a.attidentity <> '' AND p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
    AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i'
JOIN pg_sequence s ON s.seqrelid = CASE WHEN a.attidentity <> '' THEN p.objid ELSE p.refobjid END
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND (a.atttypid <> 'int8'::regtype OR s.seqtypid <> 'int8'::regtype)
  AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey))
ORDER BY 1, 2
