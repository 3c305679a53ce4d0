-- Rows arrive in the order of time, so a block range index can stand for the B-tree on time.
CREATE TABLE events (
  id bigint PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  device integer NOT NULL,
  kind text NOT NULL,
  severity smallint NOT NULL,
  value double precision,
  payload jsonb NOT NULL
);
CREATE INDEX events_time ON events USING brin (occurred_at) WITH (pages_per_range = 16);
