SELECT round((f.doc ->> 'visib')::float8) AS visibility, count(*) AS flights, avg((f.doc ->> 'dep_delay')::int) AS mean_delay
FROM flights f
WHERE f.doc ->> 'origin' = :origin AND (f.doc ->> 'month')::int = :month AND (f.doc ->> 'weather')::boolean
GROUP BY 1
ORDER BY 1
