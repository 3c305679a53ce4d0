INSERT INTO flights (time_hour, doc)
SELECT
  f.time_hour,
  jsonb_strip_nulls(jsonb_build_object(
    'month', f.month, 'hour', f.hour, 'dep_delay', f.dep_delay, 'arr_delay', f.arr_delay,
    'carrier', f.carrier, 'carrier_name', a.name, 'flight', f.flight, 'tailnum', f.tailnum,
    'manufacturer', p.manufacturer, 'model', p.model, 'origin', f.origin, 'dest', f.dest, 'dest_name', d.name,
    'distance', f.distance, 'visib', w.visib, 'weather', w.origin IS NOT NULL
  ))
FROM source.flights f
JOIN source.airlines a ON a.carrier = f.carrier
LEFT JOIN source.planes p ON p.tailnum = f.tailnum
LEFT JOIN source.airports d ON d.faa = f.dest
LEFT JOIN source.weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
ORDER BY f.time_hour, f.origin, f.carrier, f.flight;
