-- The server's own version number, as in server_version_num, and as people write it.
SELECT current_setting('server_version_num')::int AS number, split_part(current_setting('server_version'), ' ', 1) AS name
