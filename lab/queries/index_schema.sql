-- The schema of the index of this name, which the lab has just made and nobody else has.
SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %(name)s
