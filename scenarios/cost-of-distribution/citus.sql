-- By the device on the workers, eight shards.
CREATE TABLE events (
  id bigint NOT NULL,
  occurred_at timestamptz NOT NULL,
  device integer NOT NULL,
  kind text NOT NULL,
  severity smallint NOT NULL,
  value double precision,
  payload jsonb NOT NULL,
  PRIMARY KEY (device, id)
);
CREATE INDEX events_device_time ON events (device, occurred_at);
CREATE INDEX events_time ON events (occurred_at);
CREATE INDEX events_id ON events (id);
SELECT create_distributed_table('events', 'device', shard_count => 8);
