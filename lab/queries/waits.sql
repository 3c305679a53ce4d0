-- What sessions that run a statement wait for at this moment. $1: the databases' oids.
-- wait (`type:event` of pg_stat_activity; `running`: on a processor or waiting for one), sessions.
-- The function under pg_stat_activity, as the view reads catalogs at each look.   PostgreSQL 13 and later.
SELECT coalesce(wait_event_type || ':' || wait_event, 'running') AS wait, count(*) AS sessions
FROM pg_stat_get_activity(NULL)
WHERE state = 'active' AND datid = ANY ($1) AND pid <> pg_backend_pid()
  AND backend_type IN ('client backend', 'parallel worker')
GROUP BY 1
