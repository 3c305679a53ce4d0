-- Policies of tables whose row security is not switched on: they do nothing.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT p.polrelid::regclass::text AS object,
  format('policy %s does nothing: row security of %s is not enabled', p.polname, p.polrelid::regclass) AS what,
  format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', p.polrelid::regclass) AS remedy,
  p.oid, 0 AS attnum, ARRAY[p.polname::text] AS words
FROM pg_policy p
JOIN pglab.own_relation r ON r.oid = p.polrelid
WHERE NOT r.relrowsecurity
ORDER BY 1, 2
