-- An order is paid: one row, one commit.
-- The tenant is told to the server first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('app.tenant', :tenant::text, true) AS tenant OFFSET 0) s WHERE tenant IS NULL;
UPDATE orders SET status = 'paid' WHERE id = :id;
