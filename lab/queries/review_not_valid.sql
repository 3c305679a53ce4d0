-- Constraints that rows from before them need not meet.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT k.conrelid::regclass::text AS object,
  format('constraint %s is NOT VALID: rows that were there before need not meet it', k.conname) AS what,
  format('ALTER TABLE %s VALIDATE CONSTRAINT %s;', k.conrelid::regclass, quote_ident(k.conname)) AS remedy,
  k.oid, 0 AS attnum, ARRAY[k.conname::text] AS words
FROM pg_constraint k
JOIN pglab.own_relation r ON r.oid = k.conrelid
WHERE NOT k.convalidated AND k.conparentid = 0 AND pg_get_constraintdef(k.oid) LIKE '% NOT VALID'
ORDER BY 1, 2
