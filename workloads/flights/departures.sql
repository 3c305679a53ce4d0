-- The board of one airport for one hour.
-- params: origin=flights.origin, hour=flights.time_hour
SELECT f.carrier, f.flight, f.dest, f.dep_delay
FROM flights f
WHERE f.origin = :origin AND f.time_hour = :hour
ORDER BY f.carrier, f.flight, f.dest
