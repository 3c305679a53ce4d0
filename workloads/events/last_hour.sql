-- What happened in the last hour, by kind; the bounds move as now() does.
-- params: now=window.to
SELECT kind, count(*) AS events, max(severity) AS worst
FROM events
WHERE occurred_at >= :now::timestamptz - interval '1 hour' AND occurred_at < :now
GROUP BY kind
ORDER BY kind
