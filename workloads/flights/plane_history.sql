-- All flights of one plane in the year, with what the plane is.
-- params: tailnum=flights.tailnum zipf(0.8)
SELECT p.manufacturer, p.model, f.dest, count(*) AS flights, sum(f.distance) AS miles, avg(f.arr_delay) AS mean_delay
FROM flights f
LEFT JOIN planes p ON p.tailnum = f.tailnum
WHERE f.tailnum = :tailnum
GROUP BY p.manufacturer, p.model, f.dest
ORDER BY f.dest
