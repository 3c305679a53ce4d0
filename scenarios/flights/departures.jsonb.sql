SELECT f.doc ->> 'carrier', (f.doc ->> 'flight')::int, f.doc ->> 'dest', (f.doc ->> 'dep_delay')::int
FROM flights f
WHERE f.doc ->> 'origin' = :origin AND f.time_hour = :hour
ORDER BY 1, 2, 3
