-- The worst destinations from one airport in one month.
-- params: origin=flights.origin, month=flights.month
SELECT f.dest, d.name, count(*) AS flights, avg(f.arr_delay) AS mean_delay
FROM flights f
LEFT JOIN airports d ON d.faa = f.dest
WHERE f.origin = :origin AND f.month = :month
GROUP BY f.dest, d.name
HAVING count(*) >= 10
ORDER BY mean_delay DESC NULLS LAST, f.dest
LIMIT 10
