-- How a queue has done in the last two weeks, by status.
-- params: queue=tickets.queue, since=window.to - 14d
SELECT status, count(*) AS tickets
FROM tickets
WHERE queue = :queue AND opened_at >= :since
GROUP BY status
ORDER BY status
