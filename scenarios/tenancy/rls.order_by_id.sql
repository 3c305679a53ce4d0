-- One order of one tenant.
-- The tenant is told to the server first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('app.tenant', :tenant::text, true) AS tenant OFFSET 0) s WHERE tenant IS NULL;
SELECT placed_at, customer, status, amount_cents, note
FROM orders
WHERE id = :id;
