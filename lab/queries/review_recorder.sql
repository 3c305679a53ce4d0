-- What a review needs in a database before somebody's SQL is applied: who made what, and what is the author's own.
-- Run as the superuser; the trigger then notes, after every command, the objects and columns that are new,
-- with the statement they came of and the script it stands in (application_name `pglab review <number>`).
-- It does so with the superuser's rights in a stranger's session: its search_path says pg_temp, last, as what is not
-- said is searched first. The role lab asks afterwards, so that no code of the stranger's runs with more than lab's rights.
-- In a new server each object's oid is above all earlier ones.   PostgreSQL 15 and later.
CREATE TABLE pglab.statement (id bigint GENERATED ALWAYS AS IDENTITY, script int, text text);
CREATE TABLE pglab.made (oid oid, attnum int2, type text, statement bigint);
CREATE INDEX ON pglab.made (oid, attnum);
INSERT INTO pglab.made SELECT max(oid), 0, '', 0 FROM pg_class;

CREATE FUNCTION pglab.note_made() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  here bigint;
  latest oid := (SELECT max(oid) FROM pglab.made);
BEGIN
  INSERT INTO pglab.statement (script, text)
  VALUES (substring(current_setting('application_name') FROM '^pglab review ([0-9]{1,6})$')::int, current_query())
  RETURNING id INTO here;
  INSERT INTO pglab.made
  SELECT oid, 0, '', here FROM pg_class WHERE oid > latest
  UNION ALL SELECT oid, 0, '', here FROM pg_constraint WHERE oid > latest
  UNION ALL SELECT oid, 0, '', here FROM pg_policy WHERE oid > latest
  UNION ALL SELECT oid, 0, '', here FROM pg_proc WHERE oid > latest;
  INSERT INTO pglab.made
  SELECT a.attrelid, a.attnum, format_type(a.atttypid, a.atttypmod), here
  FROM (SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands() WHERE classid = 'pg_class'::regclass) c
  JOIN pg_attribute a ON a.attrelid = c.objid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM
    (SELECT m.type FROM pglab.made m WHERE (m.oid, m.attnum) = (a.attrelid, a.attnum) ORDER BY m.statement DESC LIMIT 1);
END $$;
CREATE EVENT TRIGGER note_made ON ddl_command_end EXECUTE FUNCTION pglab.note_made();

CREATE VIEW pglab.own_schema AS
SELECT oid, nspname FROM pg_namespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pglab') AND nspname NOT LIKE 'pg\_%';
CREATE VIEW pglab.own_relation AS
SELECT c.*, n.nspname
FROM pg_class c
JOIN pglab.own_schema n ON n.oid = c.relnamespace
WHERE NOT EXISTS (
  SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
CREATE VIEW pglab.own_column AS
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, a.attidentity, c.oid::regclass AS relation
FROM pg_attribute a
JOIN pglab.own_relation c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition AND a.attinhcount = 0;
CREATE FUNCTION pglab.names(relation oid, numbers int2[]) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT array_agg(a.attname::text ORDER BY k.n)
  FROM unnest(numbers) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum
$$;
CREATE FUNCTION pglab.listed(names text[]) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$ SELECT string_agg(quote_ident(one), ', ') FROM unnest(names) one $$;

GRANT USAGE ON SCHEMA pglab TO lab;
GRANT SELECT ON ALL TABLES IN SCHEMA pglab TO lab;
