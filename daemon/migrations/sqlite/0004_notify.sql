-- Reaching people: who is where, what is to be told, how that went, and who has signed in.

ALTER TABLE users ADD COLUMN email TEXT; -- null: their name, where it is an address; mutable
ALTER TABLE users ADD COLUMN slack_id TEXT; -- U...; mutable
ALTER TABLE users ADD COLUMN preferences TEXT NOT NULL DEFAULT '{}'; -- JSON; mutable
CREATE UNIQUE INDEX users_by_slack ON users (slack_id) WHERE slack_id IS NOT NULL;

-- Entries of the log that people are to be told of, each written with its entry. A row goes when
-- the messages about it are in `deliveries`.
CREATE TABLE outbox (
    seq    INTEGER PRIMARY KEY NOT NULL REFERENCES audit_entries (seq),
    event  TEXT NOT NULL
) STRICT;

-- Messages: one to one person or place, about one entry, over one channel.
CREATE TABLE deliveries (
    id           TEXT NOT NULL PRIMARY KEY,  -- msg_..., immutable; receivers know doubles by it
    seq          INTEGER NOT NULL REFERENCES audit_entries (seq),  -- immutable: what it tells of
    event        TEXT NOT NULL,              -- immutable
    channel      TEXT NOT NULL,              -- immutable
    user_id      TEXT REFERENCES users (id), -- null: whoever looks at the channel's place
    heard        INTEGER NOT NULL,           -- 1: people hear of it by this, as far as is known
    project      TEXT,                       -- by name; null: about none
    approval_id  TEXT REFERENCES approvals (id),
    lane         TEXT NOT NULL,              -- those of one lane leave one after the other
    status       TEXT NOT NULL,              -- queued, sent, failed, answered; mutable
    held         TEXT NOT NULL,              -- no, quiet or digest: what due_at was first set by
    due_at       INTEGER,                    -- when it is tried next; null once it is not; mutable
    give_up_at   INTEGER NOT NULL,           -- mutable
    queued_at    INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0, -- mutable
    settled_at   INTEGER,                    -- when it was sent or given up; mutable
    problem      TEXT,                       -- why the last try failed; mutable
    receipt      TEXT                        -- what the channel calls it; mutable
) STRICT;
CREATE UNIQUE INDEX deliveries_once ON deliveries (seq, channel, COALESCE(user_id, ''));
CREATE INDEX deliveries_due ON deliveries (channel, due_at) WHERE status = 'queued';
CREATE INDEX deliveries_late ON deliveries (give_up_at) WHERE status = 'queued';
CREATE INDEX deliveries_lane ON deliveries (lane, seq) WHERE status = 'queued';
CREATE INDEX deliveries_by_approval ON deliveries (approval_id, queued_at);
CREATE INDEX deliveries_by_time ON deliveries (queued_at, id);
CREATE INDEX deliveries_settled ON deliveries (settled_at) WHERE settled_at IS NOT NULL;

-- A message with the name of whom it is for. Queries take all of it, in this order.
CREATE VIEW deliveries_seen AS
    SELECT d.id, d.seq, d.event, d.channel, d.user_id, d.project, d.approval_id, d.status, d.held,
           d.due_at, d.give_up_at, d.queued_at, d.attempts, d.settled_at, d.problem, d.receipt,
           u.name AS user_name, d.lane
    FROM deliveries AS d LEFT JOIN users AS u ON u.id = d.user_id;

-- Who has signed in to the web pages. A row goes when the session is over.
CREATE TABLE web_sessions (
    id          TEXT NOT NULL PRIMARY KEY,   -- ws_..., immutable
    mac         BLOB NOT NULL,               -- HMAC-SHA256 of the cookie's secret; immutable
    user_id     TEXT NOT NULL REFERENCES users (id),
    token_id    TEXT NOT NULL,               -- the user's token when it began: a new one ends it
    proof       TEXT NOT NULL,               -- user-token or one-time-code; immutable
    began_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,            -- mutable
    expires_at  INTEGER NOT NULL             -- immutable
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_by_user ON web_sessions (user_id);
CREATE INDEX web_sessions_over ON web_sessions (expires_at);

-- Codes and links that sign somebody in once. A row goes some time after it was used or is over.
CREATE TABLE sign_ins (
    id           TEXT NOT NULL PRIMARY KEY,  -- si_..., immutable
    kind         TEXT NOT NULL,              -- code, dashboard or link; immutable
    mac          BLOB NOT NULL,              -- HMAC-SHA256 of the secret; immutable
    user_id      TEXT NOT NULL REFERENCES users (id),
    token_id     TEXT NOT NULL,              -- the user's token when it was made
    approval_id  TEXT REFERENCES approvals (id),  -- of a link: what it answers
    digest       TEXT,                       -- of a link: what was shown, hex
    tries        INTEGER NOT NULL DEFAULT 0, -- wrong codes so far; mutable
    made_at      INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER                     -- written once
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, made_at);
CREATE INDEX sign_ins_over ON sign_ins (expires_at);

-- What a key has taken back, counted at each of its asks.
CREATE INDEX approvals_withdrawn ON approvals (key_id, asked_at) WHERE status = 'withdrawn';
