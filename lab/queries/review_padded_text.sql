-- Columns of char(n), which is padded with blanks.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  format('%s.%s is %s, which is padded with blanks', a.relation, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s TYPE text;', a.relation, quote_ident(a.attname)) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
WHERE a.atttypid = 'bpchar'::regtype
ORDER BY 1, a.attnum
