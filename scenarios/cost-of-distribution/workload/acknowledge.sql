-- Somebody has seen to an event: the write that such a dashboard makes.
-- params: device=events.device, id=events.id
UPDATE events SET severity = 0 WHERE device = :device AND id = :id
