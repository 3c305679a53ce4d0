-- An order is paid: one row, one commit.
-- The tenant's schema is put on the path first, for this transaction; that statement gives no row.
SELECT 1 FROM (SELECT set_config('search_path', 't' || :tenant::text, true) AS path OFFSET 0) s WHERE path IS NULL;
UPDATE orders SET status = 'paid' WHERE id = :id;
