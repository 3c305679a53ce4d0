CREATE TABLE readings (
  id bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  device integer NOT NULL,
  value double precision
);
CREATE INDEX readings_device ON readings (device, at);
