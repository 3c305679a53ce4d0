-- All tenants in one table. Security is switched on when the rows are in (rls.load.sql): COPY is refused under it.
CREATE TABLE orders (
    tenant integer NOT NULL,
    id bigint NOT NULL,
    placed_at timestamptz NOT NULL,
    customer integer NOT NULL,
    status text NOT NULL,
    amount_cents integer NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX orders_tenant_placed_at ON orders (tenant, placed_at);

-- Without a tenant there is no row; the scalar subquery is asked once a query and not once a row.
CREATE POLICY of_tenant ON orders
USING (tenant = (SELECT nullif(current_setting('app.tenant', true), '')::integer));
