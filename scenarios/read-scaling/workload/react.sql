-- A reader reacts: one row, one commit.
-- params: message=messages.id latest(0.9), reader=uniform(1, 2000)
INSERT INTO reactions (message, reader) VALUES (:message, :reader)
