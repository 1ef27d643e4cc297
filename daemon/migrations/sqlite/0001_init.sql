-- The first schema. Times are milliseconds since 1970 in UTC; ids are text as people see them.

-- Small facts about this database.
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL, -- immutable
    value TEXT NOT NULL -- mutable
) STRICT, WITHOUT ROWID;

-- What the root key is checked against and, for a passphrase, made from. One row.
CREATE TABLE vault_root (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1), -- immutable
    generation INTEGER NOT NULL CHECK (generation > 0), -- mutable: counts root keys
    commitment BLOB NOT NULL, -- mutable: tells a wrong root key from damaged data
    origin TEXT NOT NULL, -- immutable: name of the audit log, `vouchsafe/<instance id>`
    kdf_salt BLOB, -- mutable: null where the root key is no passphrase
    kdf_memory_kib INTEGER, -- mutable: Argon2id's m, KiB
    kdf_passes INTEGER, -- mutable: Argon2id's t
    kdf_lanes INTEGER -- mutable: Argon2id's p
) STRICT;

-- Keys with one purpose each, wrapped by the root key.
CREATE TABLE vault_keys (
    purpose TEXT PRIMARY KEY NOT NULL, -- immutable: `token-pepper`, `audit-sign`
    wrapped BLOB NOT NULL -- mutable: encrypted, wrapped anew with each root key
) STRICT, WITHOUT ROWID;

-- Key-encryption keys, wrapped by the root key.
CREATE TABLE vault_keks (
    id TEXT PRIMARY KEY NOT NULL, -- immutable: `kek_..`
    state TEXT NOT NULL CHECK (state IN ('active', 'decrypt_only')), -- mutable
    wrapped BLOB NOT NULL, -- mutable: encrypted, wrapped anew with each root key
    created_at INTEGER NOT NULL -- immutable
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX vault_keks_active ON vault_keks (state) WHERE state = 'active';

-- The audit log. A row is never changed: what was hashed is `line`; the other columns only find it.
CREATE TABLE audit_entries (
    seq INTEGER PRIMARY KEY NOT NULL CHECK (seq >= 0), -- immutable: from 0, without gaps
    line BLOB NOT NULL, -- immutable: RFC 8785 JSON, without a line feed
    leaf BLOB NOT NULL, -- immutable: RFC 6962 leaf hash of `line`
    time INTEGER NOT NULL, -- immutable: never before that of the entry before
    actor_name TEXT NOT NULL, -- immutable
    action TEXT NOT NULL, -- immutable: `secret.read`
    outcome TEXT NOT NULL, -- immutable: `ok`, `refused`, `failed`
    project TEXT, -- immutable: by name
    approval TEXT, -- immutable: `ap_..`
    lease TEXT -- immutable: `ls_..`
) STRICT;
CREATE INDEX audit_entries_time ON audit_entries (time, seq);
CREATE INDEX audit_entries_actor ON audit_entries (actor_name, seq);
CREATE INDEX audit_entries_action ON audit_entries (action, seq);
CREATE INDEX audit_entries_project ON audit_entries (project, seq);
CREATE INDEX audit_entries_approval ON audit_entries (approval, seq) WHERE approval IS NOT NULL;
CREATE INDEX audit_entries_outcome ON audit_entries (outcome, seq) WHERE outcome <> 'ok';
CREATE TRIGGER audit_entries_stay BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never deleted');
END;
CREATE TRIGGER audit_entries_keep BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never changed');
END;

-- Which entries are about which resource.
CREATE TABLE audit_resources (
    resource TEXT NOT NULL, -- immutable: a URI
    seq INTEGER NOT NULL REFERENCES audit_entries (seq), -- immutable
    PRIMARY KEY (resource, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_resources_seq ON audit_resources (seq);
CREATE TRIGGER audit_resources_stay BEFORE DELETE ON audit_resources
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never deleted');
END;
CREATE TRIGGER audit_resources_keep BEFORE UPDATE ON audit_resources
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never changed');
END;

-- The signed head of the log. One row, written with every transaction that adds an entry.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1), -- immutable
    size INTEGER NOT NULL, -- mutable: entries in the log
    note TEXT NOT NULL, -- mutable: C2SP checkpoint, signed
    tree BLOB NOT NULL -- mutable: right edge of the Merkle tree
) STRICT;

-- Earlier heads, kept every 256 entries and on demand.
CREATE TABLE audit_checkpoints (
    size INTEGER PRIMARY KEY NOT NULL, -- immutable: entries in the log
    note TEXT NOT NULL, -- immutable: C2SP checkpoint, signed
    tree BLOB NOT NULL, -- immutable: right edge of the Merkle tree
    time INTEGER NOT NULL -- immutable
) STRICT;
CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints of the audit log are never deleted');
END;
CREATE TRIGGER audit_checkpoints_keep BEFORE UPDATE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints of the audit log are never changed');
END;

-- The nouns. Bodies are the core's own types as JSON; the columns beside them are what queries ask.

CREATE TABLE projects (
    id          TEXT NOT NULL PRIMARY KEY,  -- prj_..., immutable
    name        TEXT NOT NULL UNIQUE,       -- what people call it; mutable
    created_at  INTEGER NOT NULL            -- milliseconds since 1970, as every time here
) STRICT;

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,  -- usr_..., immutable
    name          TEXT NOT NULL UNIQUE,       -- immutable
    roles         TEXT NOT NULL,              -- words with blanks between; mutable
    enabled       INTEGER NOT NULL,           -- 0 or 1; mutable
    token_id      TEXT UNIQUE,                -- public id of the one valid token; mutable
    token_mac     BLOB,                       -- HMAC-SHA256 of its secret; mutable
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER                     -- mutable
) STRICT;

CREATE TABLE user_groups (
    user_id  TEXT NOT NULL REFERENCES users (id),
    name     TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT;

CREATE TABLE mcp_keys (
    id            TEXT NOT NULL PRIMARY KEY,  -- key_..., immutable
    project_id    TEXT NOT NULL REFERENCES projects (id),
    name          TEXT NOT NULL,              -- immutable
    owner_id      TEXT NOT NULL REFERENCES users (id),  -- mutable
    scopes        TEXT NOT NULL,              -- words with blanks between; mutable
    enabled       INTEGER NOT NULL,           -- 0 or 1; mutable
    generation    INTEGER NOT NULL,           -- counts the makings of its value; mutable
    token_id      TEXT NOT NULL UNIQUE,       -- public id of the value; mutable
    token_mac     BLOB NOT NULL,              -- HMAC-SHA256 of its secret; mutable
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER,                    -- mutable
    deleted_at    INTEGER                     -- a deleted key stays, so that the log's ids have a name
) STRICT;

CREATE UNIQUE INDEX mcp_keys_by_name ON mcp_keys (project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE secrets (
    id           TEXT NOT NULL PRIMARY KEY,  -- sec_..., immutable
    project_id   TEXT NOT NULL REFERENCES projects (id),
    path         TEXT NOT NULL,              -- immutable
    description  TEXT NOT NULL,              -- mutable
    version      INTEGER NOT NULL,           -- the current one; mutable
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,           -- mutable
    updated_by   TEXT NOT NULL,              -- mutable
    deleted_at   INTEGER                     -- mutable; the path may be used again
) STRICT;

CREATE UNIQUE INDEX secrets_by_path ON secrets (project_id, path) WHERE deleted_at IS NULL;

CREATE TABLE secret_versions (
    secret_id   TEXT NOT NULL REFERENCES secrets (id),
    version     INTEGER NOT NULL,           -- from 1
    sealed      BLOB NOT NULL,              -- the vault's record; its place is bound into it
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    PRIMARY KEY (secret_id, version)
) STRICT;

CREATE TABLE approvals (
    id            TEXT NOT NULL PRIMARY KEY,  -- ap_..., immutable
    project_id    TEXT NOT NULL REFERENCES projects (id),
    key_id        TEXT NOT NULL REFERENCES mcp_keys (id),
    status        TEXT NOT NULL,              -- pending, then once something else
    join_key      BLOB NOT NULL,              -- what equal asks have in common; immutable
    asked_at      INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,           -- by the wall clock
    expires_mono  INTEGER NOT NULL,           -- by the clock of expires_boot, in ms
    expires_boot  TEXT NOT NULL,
    settled_at    INTEGER,                    -- written once
    told_at       INTEGER,                    -- when the agent was told that it did not get it
    body          TEXT NOT NULL               -- the approval, whole
) STRICT;

CREATE UNIQUE INDEX approvals_joinable ON approvals (join_key) WHERE status = 'pending';
CREATE INDEX approvals_by_join_key ON approvals (join_key, settled_at);
CREATE INDEX approvals_by_key ON approvals (key_id, asked_at);
CREATE INDEX approvals_by_time ON approvals (asked_at, id);
CREATE INDEX approvals_pending ON approvals (expires_at) WHERE status = 'pending';

CREATE TABLE approval_votes (
    approval_id  TEXT NOT NULL REFERENCES approvals (id),
    user_id      TEXT NOT NULL REFERENCES users (id),
    ballot       TEXT NOT NULL,              -- approve or deny
    at           INTEGER NOT NULL,
    PRIMARY KEY (approval_id, user_id)       -- a person's answer counts once
) STRICT;

CREATE TABLE leases (
    id            TEXT NOT NULL PRIMARY KEY,  -- ls_..., immutable
    project_id    TEXT NOT NULL REFERENCES projects (id),
    approval_id   TEXT REFERENCES approvals (id),  -- none where the rule asks nobody
    key_id        TEXT NOT NULL REFERENCES mcp_keys (id),
    resource      TEXT NOT NULL,
    operation     TEXT NOT NULL,
    secret_id     TEXT,
    status        TEXT NOT NULL,              -- active, then once something else
    issued_at     INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,           -- mutable by renewal
    expires_mono  INTEGER NOT NULL,           -- mutable by renewal
    expires_boot  TEXT NOT NULL,              -- mutable by renewal
    ended_at      INTEGER,                    -- written once
    body          TEXT NOT NULL               -- the lease, whole
) STRICT;

CREATE INDEX leases_usable ON leases (key_id, resource, operation) WHERE status = 'active';
CREATE INDEX leases_active ON leases (expires_at) WHERE status = 'active';
CREATE INDEX leases_by_approval ON leases (approval_id);
CREATE INDEX leases_by_key ON leases (key_id, resource);
CREATE INDEX leases_by_time ON leases (issued_at, id);
