-- A day of all queues.
-- params: from_time=window.to - 3d, to_time=window.to - 2d
SELECT queue, count(*) AS tickets
FROM tickets
WHERE opened_at >= :from_time AND opened_at < :to_time
GROUP BY queue
ORDER BY queue
