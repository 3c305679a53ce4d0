-- How many tables hold rows in the largest of the author's partition trees; 1 where nothing is partitioned.
-- n.   PostgreSQL 12 and later.
SELECT coalesce(max(leaves), 1) AS n
FROM (
  SELECT (SELECT count(*) FROM pg_partition_tree(c.oid) WHERE isleaf) AS leaves
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'p' AND NOT c.relispartition AND n.nspname NOT IN ('pglab', 'source')
) trees
