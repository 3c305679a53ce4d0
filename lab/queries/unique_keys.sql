-- The keys of one table by which ON CONFLICT and MERGE may know a row: unique, of plain columns, whole, valid, not deferred.
-- columns: their names in the order of the index; the primary key first, then by name of the index.
-- PostgreSQL 11 and later.
SELECT (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE k.place <= i.indnkeyatts
  ) AS columns
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class x ON x.oid = i.indexrelid
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indisprimary DESC, x.relname
