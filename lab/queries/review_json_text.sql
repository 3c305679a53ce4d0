-- Columns of json, which is kept as text and read anew at every use.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  format('%s.%s is json', a.relation, quote_ident(a.attname)) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s TYPE jsonb;', a.relation, quote_ident(a.attname)) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
WHERE a.atttypid = 'json'::regtype
ORDER BY 1, a.attnum
