-- One table: what the questions join was joined when the rows were loaded.
CREATE TABLE flights (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time_hour timestamptz NOT NULL,
  month integer NOT NULL,
  hour integer NOT NULL,
  dep_delay integer,
  arr_delay integer,
  carrier text NOT NULL,
  carrier_name text NOT NULL,
  flight integer NOT NULL,
  tailnum text,
  manufacturer text,
  model text,
  origin text NOT NULL,
  dest text NOT NULL,
  dest_name text,
  distance integer NOT NULL,
  visib double precision,
  has_weather boolean NOT NULL
);
CREATE INDEX flights_origin_time ON flights (origin, time_hour);
CREATE INDEX flights_tailnum ON flights (tailnum);
CREATE INDEX flights_carrier ON flights (carrier);
CREATE INDEX flights_origin_month ON flights (origin, month);
