-- One reading by its id.
-- params: id=readings.id latest(0.9)
SELECT id, taken_at, meter, kind, value, quality, payload
FROM readings
WHERE id = :id
