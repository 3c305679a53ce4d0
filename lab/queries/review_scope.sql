-- How much there is to review: tables (partitions apart), partitions, indexes, foreign keys.
SELECT count(*) FILTER (WHERE relkind IN ('r', 'p') AND NOT relispartition) AS tables,
  count(*) FILTER (WHERE relkind IN ('r', 'p') AND relispartition) AS partitions,
  count(*) FILTER (WHERE relkind IN ('i', 'I')) AS indexes,
  (SELECT count(*) FROM pg_constraint k JOIN pglab.own_relation r ON r.oid = k.conrelid
   WHERE k.contype = 'f' AND k.conparentid = 0) AS foreign_keys
FROM pglab.own_relation
