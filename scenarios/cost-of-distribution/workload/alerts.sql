-- The newest grave events across all devices.
-- params: since=window.to - 6h
SELECT id, occurred_at, device, kind
FROM events
WHERE occurred_at >= :since AND severity >= 4
ORDER BY occurred_at DESC, id
LIMIT 100
