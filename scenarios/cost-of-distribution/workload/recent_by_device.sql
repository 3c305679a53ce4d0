-- The newest rows of one device: the dashboard's first view.
-- params: device=events.device zipf(1.1), since=window.to - 1d
SELECT occurred_at, kind, severity, value
FROM events
WHERE device = :device AND occurred_at >= :since
ORDER BY occurred_at DESC
LIMIT 50
