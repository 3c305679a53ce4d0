-- A tenant's last two days by status.
-- The tenant's schema is put on the path first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('search_path', 't' || :tenant::text, true) AS path OFFSET 0) s WHERE path IS NULL;
SELECT status, count(*) AS orders, sum(amount_cents) AS cents
FROM orders
WHERE placed_at >= :since
GROUP BY status
ORDER BY status;
