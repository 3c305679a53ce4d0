-- Messages of a chat by channel, and what readers left on them.
CREATE TABLE messages (
    id bigint PRIMARY KEY,
    channel integer NOT NULL,
    sent_at timestamptz NOT NULL,
    author integer NOT NULL,
    body text NOT NULL
);
CREATE INDEX messages_channel_sent_at ON messages (channel, sent_at);

CREATE TABLE reactions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message bigint NOT NULL,
    reader integer NOT NULL
);
