-- How many connections the server takes, and how many of them an ordinary role cannot have.
-- most, reserved (for superusers, and from PostgreSQL 16 on for others too).
SELECT
  current_setting('max_connections')::int AS most,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved
