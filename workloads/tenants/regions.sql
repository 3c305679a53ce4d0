-- Orders by region and status: a join across all tenants.
-- params: since=window.to - 2d
SELECT t.region, o.status, count(*) AS orders, sum(o.amount_cents) AS cents
FROM orders o
JOIN tenants t ON t.tenant = o.tenant
WHERE o.placed_at >= :since
GROUP BY t.region, o.status
ORDER BY t.region, o.status
