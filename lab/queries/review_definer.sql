-- Functions that run with their owner's rights and look names up where the caller says.
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT p.oid::regprocedure::text AS object,
  format('%s is SECURITY DEFINER and sets no search_path', p.oid::regprocedure) AS what,
  format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp;', p.oid::regprocedure, n.nspname) AS remedy,
  p.oid, 0 AS attnum, ARRAY[p.proname::text] AS words
FROM pg_proc p
JOIN pglab.own_schema n ON n.oid = p.pronamespace
WHERE p.prosecdef AND p.prokind = 'f'
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) one WHERE one LIKE 'search_path=%')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
