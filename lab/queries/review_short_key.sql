-- Columns of two or four bytes that are numbered by a sequence and are a key: the numbers run out.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  format('%s.%s is %s and numbered by a sequence: its last number is %s', a.relation, quote_ident(a.attname),
    format_type(a.atttypid, NULL), CASE a.atttypid WHEN 'int2'::regtype THEN '32,767' ELSE '2,147,483,647' END) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s TYPE bigint;', a.relation, quote_ident(a.attname)) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype)
  AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%')
  AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey))
ORDER BY 1, 2
