-- Rows lie by a hash of the tenant on the shards; the coordinator knows them as foreign partitions.
-- A primary key over foreign partitions cannot be declared: each shard keeps its own.
CALL pglab.on_shards($$
  CREATE TABLE tenants (tenant integer PRIMARY KEY, region text NOT NULL, plan text NOT NULL)
$$);
CALL pglab.on_shards($$
  CREATE TABLE orders (
    tenant integer NOT NULL,
    id bigint NOT NULL,
    placed_at timestamptz NOT NULL,
    customer integer NOT NULL,
    status text NOT NULL,
    amount_cents integer NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (tenant, id)
  )
$$);
CALL pglab.on_shards($$ CREATE INDEX orders_tenant_time ON orders (tenant, placed_at, id) $$);
CALL pglab.on_shards($$ CREATE INDEX orders_time ON orders (placed_at) $$);

CREATE TABLE tenants (
  tenant integer NOT NULL,
  region text NOT NULL,
  plan text NOT NULL
) PARTITION BY HASH (tenant);
CREATE TABLE orders (
  tenant integer NOT NULL,
  id bigint NOT NULL,
  placed_at timestamptz NOT NULL,
  customer integer NOT NULL,
  status text NOT NULL,
  amount_cents integer NOT NULL,
  note text NOT NULL
) PARTITION BY HASH (tenant);
CALL pglab.for_shards($$
  CREATE FOREIGN TABLE tenants_{shard} PARTITION OF tenants
  FOR VALUES WITH (MODULUS {shards}, REMAINDER {index}) SERVER shard_{shard} OPTIONS (table_name 'tenants')
$$);
CALL pglab.for_shards($$
  CREATE FOREIGN TABLE orders_{shard} PARTITION OF orders
  FOR VALUES WITH (MODULUS {shards}, REMAINDER {index}) SERVER shard_{shard} OPTIONS (table_name 'orders')
$$);
