-- Who wrote how much in a channel within three days: the side panel.
-- params: channel=messages.channel zipf(1.1), since=window.to - 3d
SELECT author, count(*) AS messages, max(sent_at) AS last
FROM messages
WHERE channel = :channel AND sent_at >= :since
GROUP BY author
ORDER BY messages DESC, author
LIMIT 20
