SELECT
  f.doc ->> 'manufacturer', f.doc ->> 'model', f.doc ->> 'dest',
  count(*) AS flights, sum((f.doc ->> 'distance')::int) AS miles, avg((f.doc ->> 'arr_delay')::int) AS mean_delay
FROM flights f
WHERE f.doc ->> 'tailnum' = :tailnum
GROUP BY 1, 2, 3
ORDER BY 3
