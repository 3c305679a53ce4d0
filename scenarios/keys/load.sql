-- Orders as they were placed, each with two lines; the products of a line hang on its order and number alone.
INSERT INTO orders (customer, placed_at, total_cents, note)
SELECT customer, placed_at, total_cents, note FROM source.orders ORDER BY placed_at;

INSERT INTO lines (order_id, line, product, amount)
SELECT id, line, 1 + mod(abs(hashtext(customer || '/' || placed_at || '/' || line)::bigint), 2000), 1 + mod(customer, 5)
FROM orders, generate_series(1, 2) AS line
ORDER BY placed_at, line;
