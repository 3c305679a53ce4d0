-- Keys whose default is a random uuid (version 4): each insert goes to another place of the index.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT a.relation::text AS object,
  format('%s.%s is indexed and by default random: %s', a.relation, quote_ident(a.attname), x.expression) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT uuidv7();', a.relation, quote_ident(a.attname)) AS remedy,
  a.attrelid AS oid, a.attnum, ARRAY[a.attname::text] AS words
FROM pglab.own_column a
JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS expression) x
WHERE a.atttypid = 'uuid'::regtype AND x.expression ~ '(gen_random_uuid|uuid_generate_v4|uuidv4)\('
  AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum)
ORDER BY 1, 2
