-- What this role lacks to prepare and measure in this database: checked before anything is written.
-- lacks, way (what gives it).   PostgreSQL 15 and later.
SELECT lacks, way
FROM pg_database AS here, (VALUES
  (1, 'to own the database', 'ALTER DATABASE %2$I OWNER TO %1$I'),
  (2, 'the role pg_monitor', 'GRANT pg_monitor TO %1$I'),
  (3, 'the role pg_checkpoint', 'GRANT pg_checkpoint TO %1$I'),
  (4, 'to reset statistics', 'GRANT EXECUTE ON FUNCTION pg_stat_reset(), pg_stat_reset_shared(text) TO %1$I')
) AS wanted (number, lacks, grants), format(grants, current_user, datname) AS way
WHERE datname = current_database()
  AND NOT CASE number
    WHEN 1 THEN pg_has_role(datdba, 'USAGE')
    WHEN 2 THEN pg_has_role('pg_monitor', 'USAGE')
    WHEN 3 THEN pg_has_role('pg_checkpoint', 'USAGE')
    WHEN 4 THEN has_function_privilege('pg_stat_reset()', 'EXECUTE')
      AND has_function_privilege('pg_stat_reset_shared(text)', 'EXECUTE')
  END
ORDER BY number
