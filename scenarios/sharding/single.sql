-- One server has it all: every question is answered in one place.
CREATE TABLE tenants (
  tenant integer PRIMARY KEY,
  region text NOT NULL,
  plan text NOT NULL
);
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
CREATE INDEX orders_tenant_time ON orders (tenant, placed_at, id);
CREATE INDEX orders_time ON orders (placed_at);
