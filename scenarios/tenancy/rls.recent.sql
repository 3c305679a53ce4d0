-- A tenant's newest orders: the first page of the product.
-- The tenant is told to the server first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('app.tenant', :tenant::text, true) AS tenant OFFSET 0) s WHERE tenant IS NULL;
SELECT id, placed_at, customer, status, amount_cents
FROM orders
ORDER BY placed_at DESC, id DESC
LIMIT 20;
