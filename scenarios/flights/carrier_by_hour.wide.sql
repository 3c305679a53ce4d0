SELECT f.carrier_name, f.hour, count(*) AS flights, avg(f.dep_delay) AS mean_delay
FROM flights f
WHERE f.carrier = :carrier
GROUP BY f.carrier_name, f.hour
ORDER BY f.hour
