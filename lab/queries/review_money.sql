-- Columns of money, whose fraction and sign depend on the server's lc_monetary.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  format('%s.%s is money', a.relation, quote_ident(a.attname)) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s TYPE numeric;', a.relation, quote_ident(a.attname)) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
WHERE a.atttypid = 'money'::regtype
ORDER BY 1, a.attnum
