-- What a coordinator of postgres_fdw shards gives the author's SQL, beside the foreign servers shard_1, shard_2 ...
-- pglab.on_shards(sql): run on every shard, as the role lab. pglab.for_shards(sql): run here, once for each shard.
-- In both {shard} is the shard's number from 1, {index} the same from 0, {shards} how many there are.
-- PostgreSQL 14 and later, dblink in schema pglab.
CREATE FUNCTION pglab.of_each_shard(sql text, OUT shard bigint, OUT statement text) RETURNS SETOF record
STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT n, replace(replace(replace(sql, '{shards}', many::text), '{shard}', n::text), '{index}', (n - 1)::text)
  FROM (SELECT count(*) AS many FROM pg_foreign_server WHERE srvname ~ '^shard_[0-9]+$') AS servers,
    generate_series(1, many) AS n
  ORDER BY n;
END;

-- SECURITY DEFINER: only a superuser may connect without a password; the shards see the role lab all the same.
CREATE PROCEDURE pglab.on_shards(sql text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM pglab.of_each_shard(sql) LOOP
    PERFORM pglab.dblink_exec('shard_' || one.shard, one.statement);
  END LOOP;
END
$$;

CREATE PROCEDURE pglab.for_shards(sql text)
LANGUAGE plpgsql
AS $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM pglab.of_each_shard(sql) LOOP
    EXECUTE one.statement;
  END LOOP;
END
$$;

REVOKE EXECUTE ON PROCEDURE pglab.on_shards FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE pglab.on_shards TO lab;
GRANT USAGE ON SCHEMA pglab TO lab;
