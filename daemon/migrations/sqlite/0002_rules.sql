-- Projects, limits of keys, sessions, stops, reviews, and changes of the rules that wait.

ALTER TABLE projects ADD COLUMN monthly INTEGER; -- calls in a month; null: not limited; mutable
ALTER TABLE projects ADD COLUMN archived_at INTEGER; -- mutable

-- What users may do in one project, besides what they may do in all.
CREATE TABLE user_project_roles (
    user_id     TEXT NOT NULL REFERENCES users (id),
    project_id  TEXT NOT NULL REFERENCES projects (id),
    roles       TEXT NOT NULL,              -- words with blanks between, one at least; mutable
    PRIMARY KEY (user_id, project_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE mcp_keys ADD COLUMN level TEXT NOT NULL DEFAULT 'balanced'; -- mutable
ALTER TABLE mcp_keys ADD COLUMN session_minutes INTEGER NOT NULL DEFAULT 30; -- mutable
ALTER TABLE mcp_keys ADD COLUMN tools TEXT NOT NULL DEFAULT ''; -- words; empty: all; mutable
ALTER TABLE mcp_keys ADD COLUMN rate INTEGER NOT NULL DEFAULT 60; -- requests a minute; mutable
ALTER TABLE mcp_keys ADD COLUMN monthly INTEGER; -- calls in a month; null: not limited; mutable
ALTER TABLE mcp_keys ADD COLUMN expires_at INTEGER; -- mutable
ALTER TABLE mcp_keys ADD COLUMN revision INTEGER NOT NULL DEFAULT 1; -- counts changes; mutable
ALTER TABLE mcp_keys ADD COLUMN recent TEXT NOT NULL DEFAULT ''; -- JSON: its last minute; mutable

-- Calls of tools, by calendar month in UTC. After a crash it may say more than were made, never less.
CREATE TABLE key_calls (
    key_id  TEXT NOT NULL REFERENCES mcp_keys (id),
    month   TEXT NOT NULL,                  -- 2026-11
    calls   INTEGER NOT NULL,               -- mutable
    PRIMARY KEY (key_id, month)
) STRICT, WITHOUT ROWID;

-- Approvals again: not every one is a key's, and what the sweep looks for is when one is due next,
-- be it for a reminder, more people, or its end.
CREATE TABLE approvals_new (
    id            TEXT NOT NULL PRIMARY KEY,  -- ap_..., immutable
    project_id    TEXT NOT NULL REFERENCES projects (id),
    key_id        TEXT REFERENCES mcp_keys (id),  -- null: a person's or the daemon's
    status        TEXT NOT NULL,              -- pending, then once something else
    join_key      BLOB NOT NULL,              -- what equal asks have in common; immutable
    asked_at      INTEGER NOT NULL,
    due_at        INTEGER,                    -- by the wall clock; null: never; mutable
    due_mono      INTEGER,                    -- by the clock of due_boot, in ms; mutable
    due_boot      TEXT,                       -- mutable
    settled_at    INTEGER,                    -- written once
    told_at       INTEGER,                    -- when the agent was told that it did not get it
    body          TEXT NOT NULL               -- the approval, whole
) STRICT;
INSERT INTO approvals_new
    SELECT id, project_id, key_id, status, join_key, asked_at, expires_at, expires_mono,
           expires_boot, settled_at, told_at, body
    FROM approvals;
DROP TABLE approvals;
ALTER TABLE approvals_new RENAME TO approvals;
CREATE UNIQUE INDEX approvals_joinable ON approvals (join_key) WHERE status = 'pending';
CREATE INDEX approvals_by_join_key ON approvals (join_key, settled_at);
CREATE INDEX approvals_by_key ON approvals (key_id, asked_at);
CREATE INDEX approvals_by_time ON approvals (asked_at, id);
CREATE INDEX approvals_pending ON approvals (due_at) WHERE status = 'pending';

-- What people approved for a key's session time.
CREATE TABLE sessions (
    approval_id  TEXT NOT NULL REFERENCES approvals (id),
    rule         TEXT NOT NULL,              -- by name
    project_id   TEXT NOT NULL REFERENCES projects (id),
    key_id       TEXT NOT NULL REFERENCES mcp_keys (id),
    operation    TEXT NOT NULL,
    until_at     INTEGER NOT NULL,           -- by the wall clock
    ended_at     INTEGER,                    -- written once: somebody ended it before its time
    body         TEXT NOT NULL,              -- the session, whole
    PRIMARY KEY (approval_id, rule)
) STRICT;
CREATE INDEX sessions_open ON sessions (key_id, rule, operation) WHERE ended_at IS NULL;

-- What is stopped now.
CREATE TABLE stops (
    what  TEXT NOT NULL PRIMARY KEY,         -- all, prj_... or key_...
    body  TEXT NOT NULL                      -- the stop, whole
) STRICT;

-- Broken glasses, and who looked at them.
CREATE TABLE reviews (
    id           TEXT NOT NULL PRIMARY KEY,  -- rv_..., immutable
    project_id   TEXT NOT NULL REFERENCES projects (id),
    approval_id  TEXT NOT NULL REFERENCES approvals (id),
    user_id      TEXT NOT NULL REFERENCES users (id),  -- who broke it
    opened_at    INTEGER NOT NULL,
    reviewed_at  INTEGER,                    -- written once
    body         TEXT NOT NULL               -- the review, whole
) STRICT;
CREATE UNIQUE INDEX reviews_one_open ON reviews (user_id) WHERE reviewed_at IS NULL;
CREATE INDEX reviews_by_time ON reviews (opened_at, id);

-- The policy files that were accepted last, where changes of them need an approval. One row.
CREATE TABLE policy_accepted (
    id           INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    digest       TEXT NOT NULL,              -- of the files as they are, hex; mutable
    files        TEXT NOT NULL,              -- JSON: name and text of each; mutable
    accepted_at  INTEGER NOT NULL,           -- mutable
    accepted_by  TEXT NOT NULL               -- mutable
) STRICT;

-- Policy files that wait for an approval to take effect.
CREATE TABLE policy_changes (
    approval_id  TEXT NOT NULL PRIMARY KEY REFERENCES approvals (id),
    base         TEXT NOT NULL,              -- the digest they were compared with
    digest       TEXT NOT NULL,              -- of the files as they are, hex
    files        TEXT NOT NULL               -- JSON: name and text of each
) STRICT;
