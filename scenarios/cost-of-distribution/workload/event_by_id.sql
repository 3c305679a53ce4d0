-- One event by its id: without the partition key, every partition must be looked into.
-- params: id=events.id latest(0.9)
SELECT id, occurred_at, device, kind, severity, value, payload
FROM events
WHERE id = :id
