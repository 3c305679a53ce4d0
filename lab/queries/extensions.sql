-- Extensions that an ordinary role who owns the database may make.
-- name. PostgreSQL 13 and later.
SELECT DISTINCT name FROM pg_available_extension_versions WHERE trusted
