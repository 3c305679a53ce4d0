-- Foreign keys with no index that begins with their columns, in any order, on the side that refers; one that is valid
-- and finds single rows (BRIN finds ranges of pages).
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT k.conrelid::regclass::text AS object,
  format('foreign key %s on (%s) to %s: no index begins with these columns', k.conname,
    pglab.listed(f.names), k.confrelid::regclass) AS what,
  format('CREATE INDEX ON %s (%s);', k.conrelid::regclass, pglab.listed(f.names)) AS remedy,
  k.oid, 0 AS attnum, f.names || k.conname::text AS words
FROM pg_constraint k
JOIN pglab.own_relation r ON r.oid = k.conrelid
CROSS JOIN LATERAL (SELECT pglab.names(k.conrelid, k.conkey) AS names) f
WHERE k.contype = 'f' AND k.conparentid = 0
  AND NOT EXISTS (
    SELECT FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash', 'gist', 'spgist', 'gin')
    WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(k.conkey)
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\("?[^ ]+"? IS NOT NULL\)$')
      AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
      AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey)
ORDER BY 1, 2
