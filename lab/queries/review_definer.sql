-- Functions and procedures that run with their owner's rights and look names up where the caller says: without a
-- search_path, or with one that does not end with pg_temp, which is then searched first. Not those whose names were
-- looked up when they were made (BEGIN ATOMIC).
-- object, what, remedy (SQL or NULL), oid and attnum of where it was made, words to find its line by.
SELECT p.oid::regprocedure::text AS object,
  format(CASE WHEN s.path IS NULL THEN '%s is SECURITY DEFINER and sets no search_path'
    ELSE '%s is SECURITY DEFINER and its search_path (%s) does not end with pg_temp' END,
    p.oid::regprocedure, s.path) AS what,
  format('ALTER %s %s SET search_path = %s, pg_temp;', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
    p.oid::regprocedure, coalesce(s.others, format('pg_catalog, %I', n.nspname))) AS remedy,
  p.oid, 0 AS attnum, ARRAY[p.proname::text] AS words
FROM pg_proc p
JOIN pglab.own_schema n ON n.oid = p.pronamespace
LEFT JOIN LATERAL (
  SELECT path,
    coalesce(nullif(ltrim(regexp_replace(path, '(^|, *)("?pg_temp"?|"")(?=,|$)', '', 'g'), ', '), ''), 'pg_catalog') AS others
  FROM unnest(p.proconfig) one, substring(one FROM '^search_path=(.*)$') AS path
  WHERE path IS NOT NULL) s ON true
WHERE p.prosecdef AND p.prokind IN ('f', 'p') AND p.prosqlbody IS NULL
  AND coalesce(s.path, '') !~ '(^|[ ,])"?pg_temp"?$'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
