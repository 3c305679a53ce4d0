INSERT INTO orders SELECT tenant, id, placed_at, customer, status, amount_cents, note FROM source.orders;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;  -- for the owner too, who asks the queries here
