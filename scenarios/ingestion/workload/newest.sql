-- The newest readings of one meter.
-- params: meter=readings.meter zipf(0.6), since=window.to - 1d
SELECT taken_at, kind, value, quality
FROM readings
WHERE meter = :meter AND taken_at >= :since
ORDER BY taken_at DESC, id
LIMIT 50
