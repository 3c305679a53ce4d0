SELECT f.doc ->> 'dest' AS dest, f.doc ->> 'dest_name', count(*) AS flights, avg((f.doc ->> 'arr_delay')::int) AS mean_delay
FROM flights f
WHERE f.doc ->> 'origin' = :origin AND (f.doc ->> 'month')::int = :month
GROUP BY 1, 2
HAVING count(*) >= 10
ORDER BY mean_delay DESC NULLS LAST, dest
LIMIT 10
