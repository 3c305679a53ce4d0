-- The day before, by kind, as a report tool sends it: the values are in the text of the query.
-- params: from_time=window.to - 2d, to_time=window.to - 1d
-- send: literal
SELECT kind, severity, count(*) AS events
FROM events
WHERE occurred_at >= :from_time AND occurred_at < :to_time
GROUP BY kind, severity
ORDER BY kind, severity
