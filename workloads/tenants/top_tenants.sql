-- The operator's question across all tenants: who ordered most in the last three days?
-- params: since=window.to - 3d
SELECT tenant, count(*) AS orders, sum(amount_cents) AS cents
FROM orders
WHERE placed_at >= :since
GROUP BY tenant
ORDER BY cents DESC, tenant
LIMIT 10
