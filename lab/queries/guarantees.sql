-- What the schema promises, as the catalogs word it: one line a promise, partitions through their root.
SELECT format('%s: %s', c.conrelid::regclass, pg_get_constraintdef(c.oid)) AS promise
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE NOT t.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
UNION ALL
SELECT format('%s: UNIQUE INDEX %s', i.indrelid::regclass, substring(pg_get_indexdef(i.indexrelid) FROM 'USING .*'))
FROM pg_index i
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE i.indisunique
  AND NOT t.relispartition
  AND t.relkind IN ('r', 'p', 'm')
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
  AND n.nspname NOT LIKE 'pg\_toast%'
UNION ALL
SELECT format('%s: survives a crash', t.oid::regclass)
FROM pg_class t
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE t.relkind IN ('r', 'p')
  AND NOT t.relispartition
  AND t.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pglab', 'source', 'columnar_internal')
  AND n.nspname NOT LIKE 'pg\_toast%'
UNION ALL
SELECT format('%s: POLICY for %s: %s', p.polrelid::regclass, CASE p.polcmd
    WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  concat_ws(', with check ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))
FROM pg_policy p
JOIN pg_class t ON t.oid = p.polrelid
WHERE t.relrowsecurity
ORDER BY 1
