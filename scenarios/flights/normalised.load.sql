INSERT INTO airlines SELECT carrier, name FROM source.airlines;
INSERT INTO airports SELECT faa, name, lat, lon, alt, tz, dst, tzone FROM source.airports;
INSERT INTO planes SELECT tailnum, year, type, manufacturer, model, engines, seats, speed, engine FROM source.planes;
INSERT INTO weather SELECT origin, time_hour, temp, wind_speed, precip, visib FROM source.weather;
INSERT INTO flights (time_hour, month, hour, dep_delay, arr_delay, carrier, flight, tailnum, origin, dest, distance)
SELECT time_hour, month, hour, dep_delay, arr_delay, carrier, flight, tailnum, origin, dest, distance
FROM source.flights
ORDER BY time_hour, origin, carrier, flight;
