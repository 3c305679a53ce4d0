-- An order with two lines is placed; its customer and its time are the key.
-- params: customer=orders.customer, product=uniform(1, 2000)
WITH placed AS (
  INSERT INTO orders (customer, placed_at, total_cents, note)
  VALUES (:customer, clock_timestamp(), 4200, 'as always')
  RETURNING customer, placed_at
)
INSERT INTO lines (customer, placed_at, line, product, amount)
SELECT customer, placed_at, line, :product, 1 FROM placed, generate_series(1, 2) AS line
