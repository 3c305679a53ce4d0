-- The oldest day goes row by row, and the space is made ready for the next ones.
DELETE FROM events WHERE occurred_at >= :from AND occurred_at < :to;
VACUUM events;
