SELECT f.doc ->> 'carrier_name', (f.doc ->> 'hour')::int AS hour, count(*) AS flights, avg((f.doc ->> 'dep_delay')::int)
FROM flights f
WHERE f.doc ->> 'carrier' = :carrier
GROUP BY 1, 2
ORDER BY 2
