-- A ticket comes in; it gets its number from the server.
-- params: queue=tickets.queue, email=tickets.email, token=uniform(1, 9000000000000000000)
INSERT INTO tickets (queue, status, opened_at, email, token, tags, body)
VALUES (:queue, 'open', clock_timestamp(), :email, md5(:token::bigint::text), '["login"]', repeat('It does not work. ', 11))
