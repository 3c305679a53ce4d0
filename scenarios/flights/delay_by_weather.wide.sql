SELECT round(f.visib) AS visibility, count(*) AS flights, avg(f.dep_delay) AS mean_delay
FROM flights f
WHERE f.origin = :origin AND f.month = :month AND f.has_weather
GROUP BY 1
ORDER BY 1
