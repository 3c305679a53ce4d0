CREATE TABLE orders (
  customer int NOT NULL,
  placed_at timestamptz NOT NULL,
  total_cents int NOT NULL,
  note text,
  PRIMARY KEY (customer, placed_at)
);

CREATE TABLE lines (
  customer int NOT NULL,
  placed_at timestamptz NOT NULL,
  line smallint NOT NULL,
  product int NOT NULL,
  amount int NOT NULL,
  PRIMARY KEY (customer, placed_at, line),
  FOREIGN KEY (customer, placed_at) REFERENCES orders
);
CREATE INDEX ON lines (product);
