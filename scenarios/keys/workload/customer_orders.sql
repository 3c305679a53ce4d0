-- A customer's newest orders with their lines: from the order to what refers to it.
-- params: customer=orders.customer
SELECT orders.placed_at, orders.total_cents, line, product, amount
FROM orders JOIN lines ON lines.order_id = orders.id
WHERE orders.customer = :customer
ORDER BY orders.placed_at DESC, line
LIMIT 10
