-- A tenant's last two days by status.
-- params: tenant=orders.tenant, since=window.to - 2d
SELECT status, count(*) AS orders, sum(amount_cents) AS cents
FROM orders
WHERE tenant = :tenant AND placed_at >= :since
GROUP BY status
ORDER BY status
