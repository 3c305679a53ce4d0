-- An order with two lines is placed; the server makes the key.
-- params: customer=orders.customer, product=uniform(1, 2000)
WITH placed AS (
  INSERT INTO orders (customer, placed_at, total_cents, note)
  VALUES (:customer, clock_timestamp(), 4200, 'as always')
  RETURNING id
)
INSERT INTO lines (order_id, line, product, amount)
SELECT id, line, :product, 1 FROM placed, generate_series(1, 2) AS line
