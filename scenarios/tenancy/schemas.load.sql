-- A schema for each tenant, with a table of its own like the one in public, and the tenant's rows in it.
DO $$
DECLARE
    one integer;
BEGIN
    FOR one IN SELECT DISTINCT tenant FROM source.orders ORDER BY tenant LOOP
        EXECUTE format('CREATE SCHEMA t%s', one);
        EXECUTE format('CREATE TABLE t%s.orders (LIKE public.orders INCLUDING ALL)', one);
        EXECUTE format('INSERT INTO t%s.orders SELECT tenant, id, placed_at, customer, status, amount_cents, note '
                       'FROM source.orders WHERE tenant = %s', one, one);
    END LOOP;
END $$;
