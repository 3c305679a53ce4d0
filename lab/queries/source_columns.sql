-- What pg_stats say of the columns of those tables; of a partitioned one that was never analysed itself, its largest leaf.
-- schema, table, column, nulls, width, distinct, shares, correlation; with %(values)s also values and bounds, which are
-- rows' own and stay on the server otherwise. PostgreSQL 12 and later.
WITH wanted AS (
    SELECT n.nspname AS schema, c.relname AS "table",
           CASE WHEN c.relkind = 'p' AND NOT EXISTS (
               SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited
           ) THEN (
               SELECT l.oid FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
               WHERE t.isleaf ORDER BY l.reltuples DESC, l.oid LIMIT 1
           ) ELSE c.oid END AS seen
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND n.nspname NOT LIKE 'pg\_%%'
)
SELECT w.schema,
       w."table",
       s.attname AS column,
       s.null_frac::float8 AS nulls,
       s.avg_width::float8 AS width,
       s.n_distinct::float8 AS distinct,
       coalesce(s.most_common_freqs, '{}')::float8[] AS shares,
       s.correlation::float8 AS correlation,
       CASE WHEN %(values)s THEN s.most_common_vals::text::text[] END AS values,
       CASE WHEN %(values)s THEN s.histogram_bounds::text::text[] END AS bounds
FROM wanted w
JOIN pg_class c ON c.oid = w.seen
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited = (c.relkind = 'p')
ORDER BY c.oid, s.attname
