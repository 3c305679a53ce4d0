SELECT f.dest, f.dest_name, count(*) AS flights, avg(f.arr_delay) AS mean_delay
FROM flights f
WHERE f.origin = :origin AND f.month = :month
GROUP BY f.dest, f.dest_name
HAVING count(*) >= 10
ORDER BY mean_delay DESC NULLS LAST, f.dest
LIMIT 10
