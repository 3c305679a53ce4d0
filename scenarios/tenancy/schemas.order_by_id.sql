-- One order of one tenant.
-- The tenant's schema is put on the path first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('search_path', 't' || :tenant::text, true) AS path OFFSET 0) s WHERE path IS NULL;
SELECT placed_at, customer, status, amount_cents, note
FROM orders
WHERE id = :id;
