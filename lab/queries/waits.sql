-- What sessions that run a statement wait for at this moment. $1: the database's oid; those apart are looked up only
-- where a session is in another one.
-- wait (`type:event` of pg_stat_activity; `running`: on a processor or waiting for one), sessions.
-- The function under pg_stat_activity, as the view reads catalogs at each look.   PostgreSQL 13 and later.
SELECT coalesce(wait_event_type || ':' || wait_event, 'running') AS wait, count(*) AS sessions
FROM pg_stat_get_activity(NULL)
WHERE state = 'active' AND pid <> pg_backend_pid()
  AND backend_type IN ('client backend', 'parallel worker')
  AND (
    datid = $1
    OR datid IN (SELECT oid FROM pg_database WHERE starts_with(datname, current_database() || ':'))  -- clusters/databases.py
  )
GROUP BY 1
