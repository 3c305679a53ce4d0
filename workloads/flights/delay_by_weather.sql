-- Departure delay against visibility, one airport, one month.
-- params: origin=flights.origin, month=flights.month
SELECT round(w.visib) AS visibility, count(*) AS flights, avg(f.dep_delay) AS mean_delay
FROM flights f
JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
WHERE f.origin = :origin AND f.month = :month
GROUP BY 1
ORDER BY 1
