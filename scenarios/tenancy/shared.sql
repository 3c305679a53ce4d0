-- All tenants in one table; tenant first in every index.
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
