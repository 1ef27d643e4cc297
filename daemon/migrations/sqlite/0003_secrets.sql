-- Secrets that change: what is said of them, how their versions came about, and what is proposed.

ALTER TABLE secrets ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'; -- JSON: name to value; mutable
ALTER TABLE secrets ADD COLUMN owner_id TEXT REFERENCES users (id); -- mutable
ALTER TABLE secrets ADD COLUMN expires_at INTEGER; -- a date for people; mutable
ALTER TABLE secrets ADD COLUMN remind_at INTEGER; -- when they are reminded of it next; mutable
ALTER TABLE secrets ADD COLUMN rotate_every TEXT; -- cron in UTC; mutable
ALTER TABLE secrets ADD COLUMN rotate_at INTEGER; -- when it is rotated next; mutable
ALTER TABLE secrets ADD COLUMN purged_at INTEGER; -- written once: its values are wiped
CREATE INDEX secrets_remind ON secrets (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX secrets_rotate ON secrets (rotate_at) WHERE rotate_at IS NOT NULL;
CREATE INDEX secrets_purge ON secrets (deleted_at)
    WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

ALTER TABLE secret_versions ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0; -- of its value; immutable
ALTER TABLE secret_versions ADD COLUMN origin TEXT NOT NULL DEFAULT 'put'; -- immutable
ALTER TABLE secret_versions ADD COLUMN generator TEXT; -- JSON; null: given; immutable
ALTER TABLE secret_versions ADD COLUMN public_key TEXT; -- PEM, of a key pair; immutable
ALTER TABLE secret_versions ADD COLUMN approval_id TEXT REFERENCES approvals (id); -- immutable
-- What sealing adds to a value: see the vault's format 1.
UPDATE secret_versions SET bytes = LENGTH(sealed) - 132;

-- Values that agents propose, sealed as they came. A row goes when its value is in place, or when
-- nobody can approve it any more.
CREATE TABLE proposals (
    approval_id  TEXT NOT NULL PRIMARY KEY REFERENCES approvals (id),
    sealed       BLOB NOT NULL,              -- the vault's record; its place is the approval
    keep_until   INTEGER                     -- null: as long as it is pending; mutable
) STRICT, WITHOUT ROWID;
CREATE INDEX proposals_keep ON proposals (keep_until) WHERE keep_until IS NOT NULL;

-- Which approvals are about which resource, to tell what was decided before.
CREATE TABLE approval_items (
    project_id   TEXT NOT NULL REFERENCES projects (id),
    resource     TEXT NOT NULL,
    asked_at     INTEGER NOT NULL,
    approval_id  TEXT NOT NULL REFERENCES approvals (id),
    PRIMARY KEY (project_id, resource, asked_at, approval_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO approval_items
    SELECT a.project_id, JSON_EXTRACT(item.value, '$.resource'), a.asked_at, a.id
    FROM approvals AS a, JSON_EACH(a.body, '$.' || a.status || '.ask.items') AS item;

-- A secret with what is known of its current value.
CREATE VIEW secrets_now AS
    SELECT s.id, s.project_id, s.path, s.description, s.version, s.created_at, s.updated_at,
           s.updated_by, s.deleted_at, s.purged_at, s.labels, s.owner_id, s.expires_at,
           s.remind_at, s.rotate_every, s.rotate_at,
           v.bytes, v.origin, v.generator, v.public_key, v.approval_id
    FROM secrets AS s JOIN secret_versions AS v ON v.secret_id = s.id AND v.version = s.version;
