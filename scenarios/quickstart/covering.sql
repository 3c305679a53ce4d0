-- The dashboard's columns ride in the index, so that its questions need not visit the table.
CREATE TABLE events (
  id bigint PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  device integer NOT NULL,
  kind text NOT NULL,
  severity smallint NOT NULL,
  value double precision,
  payload jsonb NOT NULL
);
CREATE INDEX events_device_time ON events (device, occurred_at) INCLUDE (kind, severity, value);
CREATE INDEX events_time ON events (occurred_at) INCLUDE (device, kind, severity);
