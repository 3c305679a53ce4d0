-- Indexes that another index of the same table does for as well: the same keys, or the first of its keys.
-- Unique ones and those of constraints are kept, and what is not valid does for nothing; of two equal ones the younger is named.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
WITH own AS (
  SELECT i.*, c.relname, c.relam, EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS bound,
    (i.indkey::int2[])[0:i.indnkeyatts - 1] AS keys, (i.indkey::int2[])[i.indnkeyatts:] AS carried,
    (i.indclass::oid[])[0:i.indnkeyatts - 1] AS classes, (i.indcollation::oid[])[0:i.indnkeyatts - 1] AS collations,
    (i.indoption::int2[])[0:i.indnkeyatts - 1] AS options,
    coalesce(pg_get_expr(i.indexprs, i.indrelid), '') AS expressions,
    coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate
  FROM pg_index i
  JOIN pglab.own_relation c ON c.oid = i.indexrelid AND NOT c.relispartition
  WHERE i.indisvalid
)
SELECT DISTINCT ON (a.indexrelid) a.indrelid::regclass::text AS object,
  format(CASE WHEN a.indnkeyatts = b.indnkeyatts THEN 'index %s has the same keys as %s'
    ELSE 'index %s has only the first keys of %s' END, a.relname, b.relname) AS what,
  format('DROP INDEX %s;', a.indexrelid::regclass) AS remedy,
  a.indexrelid AS oid, 0 AS attnum, ARRAY[a.relname::text] AS words
FROM own a
JOIN own b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.relam = a.relam
  AND b.predicate = a.predicate AND a.carried <@ (b.keys || b.carried)
  AND (a.expressions = '' AND b.expressions = '' OR a.expressions = b.expressions AND a.keys = b.keys)
  AND a.keys = b.keys[1:a.indnkeyatts] AND a.classes = b.classes[1:a.indnkeyatts]
  AND a.collations = b.collations[1:a.indnkeyatts] AND a.options = b.options[1:a.indnkeyatts]
  AND (a.indnkeyatts = b.indnkeyatts OR a.relam = (SELECT oid FROM pg_am WHERE amname = 'btree'))
WHERE NOT a.bound
  AND (NOT a.indisunique OR b.indisunique AND a.indnkeyatts = b.indnkeyatts AND a.indnullsnotdistinct = b.indnullsnotdistinct)
  AND (a.indnkeyatts < b.indnkeyatts OR cardinality(a.carried) < cardinality(b.carried) OR b.bound
    OR b.indisunique > a.indisunique OR a.indisunique = b.indisunique AND a.indexrelid > b.indexrelid)
ORDER BY a.indexrelid, b.bound DESC, b.indexrelid
