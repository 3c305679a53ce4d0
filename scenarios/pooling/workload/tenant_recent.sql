-- A tenant's newest orders: the first page of the product.
-- params: tenant=orders.tenant
SELECT id, placed_at, customer, status, amount_cents
FROM orders
WHERE tenant = :tenant
ORDER BY placed_at DESC, id DESC
LIMIT 20
