SELECT f.manufacturer, f.model, f.dest, count(*) AS flights, sum(f.distance) AS miles, avg(f.arr_delay) AS mean_delay
FROM flights f
WHERE f.tailnum = :tailnum
GROUP BY f.manufacturer, f.model, f.dest
ORDER BY f.dest
