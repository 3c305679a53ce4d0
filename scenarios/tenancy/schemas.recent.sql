-- A tenant's newest orders: the first page of the product.
-- The tenant's schema is put on the path first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('search_path', 't' || :tenant::text, true) AS path OFFSET 0) s WHERE path IS NULL;
SELECT id, placed_at, customer, status, amount_cents
FROM orders
ORDER BY placed_at DESC, id DESC
LIMIT 20;
