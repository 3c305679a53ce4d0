-- All tickets of an address, however it is written.
-- params: email=tickets.email
SELECT id, status, opened_at FROM tickets WHERE lower(email) = lower(:email) ORDER BY opened_at DESC, id LIMIT 20
