-- A tenant's last two days by status.
-- The tenant is told to the server first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('app.tenant', :tenant::text, true) AS tenant OFFSET 0) s WHERE tenant IS NULL;
SELECT status, count(*) AS orders, sum(amount_cents) AS cents
FROM orders
WHERE placed_at >= :since
GROUP BY status
ORDER BY status;
