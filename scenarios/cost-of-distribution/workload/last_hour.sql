-- What happened in the last hour, by kind. The bounds come as they are: one that the query makes of now()
-- is no condition that postgres_fdw sends to a shard.
-- params: since=window.to - 1h, until=window.to
SELECT kind, count(*) AS events, max(severity) AS worst
FROM events
WHERE occurred_at >= :since AND occurred_at < :until
GROUP BY kind
ORDER BY kind
