-- As the data came: five tables, each fact once, joined when asked.
CREATE TABLE airlines (
  carrier text PRIMARY KEY,
  name text NOT NULL
);
CREATE TABLE airports (
  faa text PRIMARY KEY,
  name text NOT NULL,
  lat double precision,
  lon double precision,
  alt integer,
  tz integer,
  dst text,
  tzone text
);
CREATE TABLE planes (
  tailnum text PRIMARY KEY,
  year integer,
  type text,
  manufacturer text,
  model text,
  engines integer,
  seats integer,
  speed integer,
  engine text
);
CREATE TABLE weather (
  origin text NOT NULL,
  time_hour timestamptz NOT NULL,
  temp double precision,
  wind_speed double precision,
  precip double precision,
  visib double precision
);
CREATE INDEX weather_origin_time ON weather (origin, time_hour);
CREATE TABLE flights (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time_hour timestamptz NOT NULL,
  month integer NOT NULL,
  hour integer NOT NULL,
  dep_delay integer,
  arr_delay integer,
  carrier text NOT NULL REFERENCES airlines,
  flight integer NOT NULL,
  tailnum text,
  origin text NOT NULL,
  dest text NOT NULL,
  distance integer NOT NULL
);
CREATE INDEX flights_origin_time ON flights (origin, time_hour);
CREATE INDEX flights_tailnum ON flights (tailnum);
CREATE INDEX flights_carrier ON flights (carrier);
CREATE INDEX flights_origin_month ON flights (origin, month);
