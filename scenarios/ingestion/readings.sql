-- Readings of meters as they are kept: a key that the meter's own counter gives, and an index for each way to ask.
CREATE TABLE readings (
  id bigint PRIMARY KEY,
  taken_at timestamptz NOT NULL,
  meter integer NOT NULL,
  kind text NOT NULL,
  value double precision,
  quality smallint NOT NULL,
  payload jsonb NOT NULL
);
CREATE INDEX readings_meter_time ON readings (meter, taken_at);
CREATE INDEX readings_time ON readings (taken_at);
