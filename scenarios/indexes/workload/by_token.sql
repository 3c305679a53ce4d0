-- The ticket that a mail's link leads to.
-- params: token=tickets.token latest(0.9)
SELECT id, status, opened_at, body FROM tickets WHERE token = :token
