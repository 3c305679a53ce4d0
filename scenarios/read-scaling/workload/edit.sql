-- An author mends a message: another version of the row, one commit.
-- params: id=messages.id latest(0.9)
UPDATE messages SET body = body || '.' WHERE id = :id
