-- One device over a week, a row a day: the dashboard's chart.
-- params: device=events.device zipf(1.1), from_time=window.to - 7d, to_time=window.to
SELECT date_trunc('day', occurred_at, 'UTC') AS day, count(*) AS events, avg(value) AS mean_value, max(severity) AS worst
FROM events
WHERE device = :device AND occurred_at >= :from_time AND occurred_at < :to_time
GROUP BY 1
ORDER BY 1
