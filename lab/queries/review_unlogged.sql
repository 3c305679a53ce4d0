-- Tables that a crash empties.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT r.oid::regclass::text AS object, format('table %s is unlogged', r.oid::regclass) AS what,
  format('ALTER TABLE %s SET LOGGED;', r.oid::regclass) AS remedy,
  r.oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pglab.own_relation r
WHERE r.relkind IN ('r', 'p') AND r.relpersistence = 'u'
ORDER BY 1
