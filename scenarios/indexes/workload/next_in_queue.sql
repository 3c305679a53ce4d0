-- What an agent takes next: the oldest open tickets of a queue.
-- params: queue=tickets.queue
SELECT id, opened_at, email FROM tickets WHERE queue = :queue AND status = 'open' ORDER BY opened_at, id LIMIT 10
