-- One order of one tenant.
-- params: tenant=orders.tenant, id=orders.id
SELECT placed_at, customer, status, amount_cents, note
FROM orders
WHERE tenant = :tenant AND id = :id
