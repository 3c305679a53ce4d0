CREATE TABLE orders (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  customer int NOT NULL,
  placed_at timestamptz NOT NULL,
  total_cents int NOT NULL,
  note text
);
CREATE INDEX ON orders (customer, placed_at);

CREATE TABLE lines (
  order_id uuid NOT NULL REFERENCES orders,
  line smallint NOT NULL,
  product int NOT NULL,
  amount int NOT NULL,
  PRIMARY KEY (order_id, line)
);
CREATE INDEX ON lines (product);
