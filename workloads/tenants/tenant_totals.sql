-- A tenant's day by status, with the tenant's own row: a join within one tenant.
-- params: tenant=orders.tenant, since=window.to - 1d
SELECT t.plan, o.status, count(*) AS orders, sum(o.amount_cents) AS cents
FROM orders o
JOIN tenants t ON t.tenant = o.tenant
WHERE o.tenant = :tenant AND o.placed_at >= :since
GROUP BY t.plan, o.status
ORDER BY o.status
