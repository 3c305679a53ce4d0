-- Who ordered a product: from lines all over the table to their orders, by the key.
-- params: product=uniform(1, 2000)
SELECT placed_at, customer, orders.total_cents, amount
FROM lines JOIN orders USING (customer, placed_at)
WHERE product = :product
ORDER BY placed_at DESC, customer, line
LIMIT 20
