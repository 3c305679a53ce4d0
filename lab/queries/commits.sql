-- What a commit waits for on this server.
-- names (synchronous_standby_names), level (synchronous_commit).
SELECT current_setting('synchronous_standby_names') AS names, current_setting('synchronous_commit') AS level
