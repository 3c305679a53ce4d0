-- One message, from a link.
-- params: id=messages.id latest(0.9)
SELECT id, channel, sent_at, author, body FROM messages WHERE id = :id
