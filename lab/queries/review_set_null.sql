-- Foreign keys that would set a column to NULL which may not be NULL: the delete or update fails.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT k.conrelid::regclass::text AS object,
  format('foreign key %s sets %s to NULL, which is NOT NULL: what it should allow will fail', k.conname,
    quote_ident(a.attname)) AS what,
  format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;', k.conrelid::regclass, quote_ident(a.attname)) AS remedy,
  k.oid, 0 AS attnum, ARRAY[a.attname::text, k.conname::text] AS words
FROM pg_constraint k
JOIN pglab.own_relation r ON r.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attnotnull
WHERE k.contype = 'f' AND k.conparentid = 0 AND 'n' IN (k.confdeltype, k.confupdtype)
  AND (k.confupdtype = 'n' OR k.confdelsetcols IS NULL OR a.attnum = ANY (k.confdelsetcols))
ORDER BY 1, 2
