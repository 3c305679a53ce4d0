-- The plain table everybody starts with: a key, an index for the device, an index for the time.
CREATE TABLE events (
  id bigint PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  device integer NOT NULL,
  kind text NOT NULL,
  severity smallint NOT NULL,
  value double precision,
  payload jsonb NOT NULL
);
CREATE INDEX events_device_time ON events (device, occurred_at);
CREATE INDEX events_time ON events (occurred_at);
