-- A ticket is closed.
-- params: id=tickets.id latest(0.9)
UPDATE tickets SET status = 'closed' WHERE id = :id
