-- How late one carrier is, by hour of the day.
-- params: carrier=flights.carrier
SELECT a.name, f.hour, count(*) AS flights, avg(f.dep_delay) AS mean_delay
FROM flights f
JOIN airlines a ON a.carrier = f.carrier
WHERE f.carrier = :carrier
GROUP BY a.name, f.hour
ORDER BY f.hour
