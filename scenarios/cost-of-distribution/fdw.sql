-- By a hash of the device on the shards, which the coordinator knows as foreign partitions.
CALL pglab.on_shards($$
  CREATE TABLE events (
    id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    device integer NOT NULL,
    kind text NOT NULL,
    severity smallint NOT NULL,
    value double precision,
    payload jsonb NOT NULL,
    PRIMARY KEY (device, id)
  )
$$);
CALL pglab.on_shards($$ CREATE INDEX events_device_time ON events (device, occurred_at) $$);
CALL pglab.on_shards($$ CREATE INDEX events_time ON events (occurred_at) $$);
CALL pglab.on_shards($$ CREATE INDEX events_id ON events (id) $$);
CREATE TABLE events (
  id bigint NOT NULL,
  occurred_at timestamptz NOT NULL,
  device integer NOT NULL,
  kind text NOT NULL,
  severity smallint NOT NULL,
  value double precision,
  payload jsonb NOT NULL
) PARTITION BY HASH (device);
CALL pglab.for_shards($$
  CREATE FOREIGN TABLE events_{shard} PARTITION OF events
  FOR VALUES WITH (MODULUS {shards}, REMAINDER {index}) SERVER shard_{shard} OPTIONS (table_name 'events')
$$);
