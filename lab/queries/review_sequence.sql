-- Sequences that begin again at their end, or have used more than half of their numbers.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT r.oid::regclass::text AS object,
  CASE WHEN s.seqcycle THEN format('sequence %s begins again after %s: its numbers come twice', r.oid::regclass, s.seqmax)
    ELSE format('sequence %s stands at %s of %s', r.oid::regclass, p.last_value, s.seqmax) END AS what,
  CASE WHEN s.seqcycle THEN format('ALTER SEQUENCE %s NO CYCLE;', r.oid::regclass)
    ELSE format('ALTER SEQUENCE %s AS bigint;', r.oid::regclass) END AS remedy,
  r.oid, 0 AS attnum, ARRAY[r.relname::text] AS words
FROM pg_sequence s
JOIN pglab.own_relation r ON r.oid = s.seqrelid
LEFT JOIN pg_sequences p ON p.schemaname = r.nspname AND p.sequencename = r.relname
WHERE s.seqcycle OR s.seqincrement > 0 AND p.last_value > s.seqmin + (s.seqmax - s.seqmin) / 2
ORDER BY 1
