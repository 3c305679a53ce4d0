-- The newest messages of a channel: what a reader sees on opening it.
-- params: channel=messages.channel zipf(1.1), since=window.to - 1d
SELECT id, sent_at, author, body
FROM messages
WHERE channel = :channel AND sent_at >= :since
ORDER BY sent_at DESC
LIMIT 50
