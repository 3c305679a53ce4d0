-- Settings that differ from the server's own defaults, for the record of an instance.
-- name, value, unit, source.   PostgreSQL 13 and later.
SELECT name, setting AS value, unit, source
FROM pg_settings
WHERE source NOT IN ('default', 'client')
  AND name NOT IN (
    'cluster_name', 'unix_socket_directories', 'data_directory', 'config_file', 'hba_file', 'ident_file', 'TimeZone',
    'log_timezone', 'transaction_deferrable', 'transaction_isolation', 'transaction_read_only'
  )
ORDER BY name
