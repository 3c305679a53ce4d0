INSERT INTO flights (
  time_hour, month, hour, dep_delay, arr_delay, carrier, carrier_name, flight, tailnum, manufacturer, model,
  origin, dest, dest_name, distance, visib, has_weather
)
SELECT
  f.time_hour, f.month, f.hour, f.dep_delay, f.arr_delay, f.carrier, a.name, f.flight, f.tailnum, p.manufacturer,
  p.model, f.origin, f.dest, d.name, f.distance, w.visib, w.origin IS NOT NULL
FROM source.flights f
JOIN source.airlines a ON a.carrier = f.carrier
LEFT JOIN source.planes p ON p.tailnum = f.tailnum
LEFT JOIN source.airports d ON d.faa = f.dest
LEFT JOIN source.weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
ORDER BY f.time_hour, f.origin, f.carrier, f.flight;
