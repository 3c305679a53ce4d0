-- Who ordered a product: from lines all over the table to their orders, by the key.
-- params: product=uniform(1, 2000)
SELECT orders.placed_at, orders.customer, orders.total_cents, amount
FROM lines JOIN orders ON orders.id = lines.order_id
WHERE product = :product
ORDER BY orders.placed_at DESC, orders.customer, line
LIMIT 20
