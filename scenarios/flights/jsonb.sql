-- A document a flight, as an event store would keep it, and expression indexes for the questions.
CREATE TABLE flights (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time_hour timestamptz NOT NULL,
  doc jsonb NOT NULL
);
CREATE INDEX flights_origin_time ON flights ((doc ->> 'origin'), time_hour);
CREATE INDEX flights_tailnum ON flights ((doc ->> 'tailnum'));
CREATE INDEX flights_carrier ON flights ((doc ->> 'carrier'));
CREATE INDEX flights_origin_month ON flights ((doc ->> 'origin'), ((doc ->> 'month')::int));
