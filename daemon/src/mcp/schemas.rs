//! What tools take and give, as JSON Schema.
//!
//! An output schema has to take whatever the tool may answer: some clients hold even errors
//! against it. So each lists all members that any of its answers has, and asks only for those that
//! all of them have.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use vouchsafe_core::approval::ITEMS_MAX;
use vouchsafe_core::secret::{
    DESCRIPTION_CHARS_MAX, PASSPHRASE_WORDS_MAX, PASSPHRASE_WORDS_MIN, PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN, RSA_BITS, VALUE_BYTES_MAX,
};
use vouchsafe_core::text::REASON_CHARS_MAX;

use super::arguments::{
    AUDIT_ENTRIES_MAX, DURATION_CHARS_MAX, ID_CHARS_MAX, NAME_CHARS_MAX, PAGE_TOKEN_CHARS_MAX,
    TIME_CHARS_MAX, URI_CHARS_MAX,
};
use super::tools::Tool;

/// What the tool takes.
pub(super) fn input(tool: Tool) -> Arc<JsonObject> {
    let (properties, required) = match tool {
        Tool::ListSecrets => {
            (json!({ "pattern": pattern(), "page_token": page_token() }), json!([]))
        }
        Tool::ReadSecret => (
            json!({
                "uri": uri(),
                "reason": reason(),
                "reason_kind": reason_kind(),
                "duration": duration(),
            }),
            json!(["uri"]),
        ),
        Tool::RequestAccess => (resources(), json!(["resources"])),
        Tool::WriteSecret => (new_value(), json!(["uri"])),
        Tool::RotateSecret => (
            json!({
                "uri": uri(),
                "generate": generate(),
                "reason": reason(),
                "reason_kind": reason_kind(),
            }),
            json!(["uri"]),
        ),
        Tool::DeleteSecret => (
            json!({ "uri": uri(), "reason": reason(), "reason_kind": reason_kind() }),
            json!(["uri"]),
        ),
        Tool::QueryAudit => (audit_filters(), json!([])),
        Tool::AwaitApproval | Tool::WithdrawApproval => (
            json!({ "approval_id": id("The approval_id of a pending result, `ap_...`.") }),
            json!(["approval_id"]),
        ),
        Tool::RenewLease => (
            json!({ "lease_id": id("The lease's id, `ls_...`."), "duration": duration() }),
            json!(["lease_id"]),
        ),
        Tool::ReleaseLease => {
            (json!({ "lease_id": id("The lease's id, `ls_...`.") }), json!(["lease_id"]))
        }
        Tool::ListLeases | Tool::Whoami => (json!({}), json!([])),
    };
    object(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// What the tool gives, refusals and handles among it.
pub(super) fn output(tool: Tool) -> Arc<JsonObject> {
    let mut properties = refusal();
    let own = match tool {
        Tool::ListSecrets => json!({
            "secrets": { "type": "array", "items": { "type": "object" } },
            "next_token": { "type": "string" },
        }),
        Tool::ReadSecret => json!({
            "uri": { "type": "string" },
            "version": { "type": "integer" },
            "value": { "type": "string", "description": "The value, as `encoding` says." },
            "encoding": { "type": "string", "enum": ["utf-8", "base64"] },
            "lease": { "type": "object" },
        }),
        Tool::RequestAccess | Tool::ListLeases => {
            json!({ "leases": { "type": "array", "items": { "type": "object" } } })
        }
        Tool::AwaitApproval => leases_or_changed(),
        Tool::WriteSecret | Tool::RotateSecret | Tool::DeleteSecret => changed(),
        Tool::WithdrawApproval => json!({}),
        Tool::RenewLease => json!({ "lease": { "type": "object" } }),
        Tool::ReleaseLease => json!({ "lease_id": { "type": "string" } }),
        Tool::QueryAudit => json!({
            "entries": {
                "type": "array",
                "description": "Entries as they stand in the log, newest first.",
                "items": { "type": "object" },
            },
            "groups": {
                "type": "array",
                "description": "With `group_by`: each value and how many entries have it.",
                "items": { "type": "object" },
            },
            "next_token": { "type": "string" },
            "lease": { "type": "object" },
        }),
        Tool::Whoami => json!({
            "key": { "type": "string" },
            "project": { "type": "string" },
            "owner": { "type": "string" },
            "scopes": { "type": "array", "items": { "type": "string" } },
            "level": { "type": "string", "enum": ["strict", "balanced", "permissive", "auto"] },
            "session_minutes": { "type": "integer" },
            "tools": { "type": "array", "items": { "type": "string" } },
            "expires_at": { "type": "string", "description": "RFC 3339; absent: never." },
            "limits": { "type": "object" },
        }),
    };
    properties.extend(members(own));
    if waits(tool) {
        properties.extend(approval());
    }
    // What has no status when it goes well asks for none.
    let required = match tool {
        Tool::ListSecrets | Tool::ListLeases | Tool::Whoami => json!([]),
        Tool::ReadSecret
        | Tool::RequestAccess
        | Tool::AwaitApproval
        | Tool::WithdrawApproval
        | Tool::RenewLease
        | Tool::WriteSecret
        | Tool::RotateSecret
        | Tool::DeleteSecret
        | Tool::QueryAudit
        | Tool::ReleaseLease => json!(["status"]),
    };
    object(json!({ "type": "object", "properties": properties, "required": required }))
}

const fn waits(tool: Tool) -> bool {
    matches!(
        tool,
        Tool::ReadSecret
            | Tool::RequestAccess
            | Tool::AwaitApproval
            | Tool::WithdrawApproval
            | Tool::WriteSecret
            | Tool::RotateSecret
            | Tool::DeleteSecret
            | Tool::QueryAudit
    )
}

/// What each result may have: a refusal.
fn refusal() -> JsonObject {
    members(json!({
        "status": {
            "type": "string",
            "description": "Where it stands: `pending` waits for a person; `denied`, `expired`, \
                            `withdrawn` and `refused` are final; a change is `applied`, or met a \
                            `conflict`.",
        },
        "code": { "type": "string", "description": "Why it was refused, a stable code." },
        "message": { "type": "string", "description": "What happened and what to do." },
        "next": {
            "type": ["object", "string"],
            "description": "What to do next: the call to make, or a sentence.",
        },
        "retry_after_seconds": { "type": "integer", "description": "Wait so long first." },
    }))
}

/// What an ask for several secrets says.
fn resources() -> Value {
    json!({
        "resources": {
            "type": "array",
            "description": "The secrets' URIs, each once.",
            "items": { "type": "string", "maxLength": URI_CHARS_MAX },
            "minItems": 1,
            "maxItems": ITEMS_MAX,
            "uniqueItems": true,
        },
        "operation": {
            "type": "string",
            "description": "What for; `read` where nothing is said.",
            "enum": ["use", "read"],
        },
        "reason": reason(),
        "reason_kind": reason_kind(),
        "duration": duration(),
    })
}

/// A value for a secret, or how it is made.
fn new_value() -> Value {
    json!({
        "uri": uri(),
        "value": {
            "type": "string",
            "description": "The value, as text. Leave it out to have it made here.",
            "minLength": 1,
            "maxLength": VALUE_BYTES_MAX,
        },
        "value_base64": {
            "type": "string",
            "description": "Instead of `value`: bytes that are no text, as base64.",
            "minLength": 1,
        },
        "generate": generate(),
        "description": {
            "type": "string",
            "description": "What the secret is, in a line; leave it out to keep it.",
            "maxLength": DESCRIPTION_CHARS_MAX,
        },
        "reason": reason(),
        "reason_kind": reason_kind(),
    })
}

/// What came of any ask.
fn leases_or_changed() -> Value {
    let mut members = members(changed());
    members.insert("leases".to_owned(), json!({ "type": "array", "items": { "type": "object" } }));
    Value::Object(members)
}

/// What came of a change.
fn changed() -> Value {
    json!({
        "uri": { "type": "string" },
        "operation": { "type": "string", "enum": ["write", "delete"] },
        "version": {
            "type": "integer",
            "description": "The version written or deleted; in a conflict the one that is there.",
        },
        "public_key": { "type": "string", "description": "Of a key pair that was made, as PEM." },
    })
}

/// How a value is made.
fn generate() -> Value {
    json!({
        "type": "object",
        "description": "How the value is made here, unseen: {\"kind\": \"password\", \"length\": 32, \
                        \"alphabet\": \"alphanumeric\"} (or ascii, hex, digits, base64url, or \
                        {\"characters\": \"...\"}), {\"kind\": \"passphrase\", \"words\": 8}, \
                        {\"kind\": \"uuid\"}, {\"kind\": \"ed25519\"}, {\"kind\": \"rsa\", \"bits\": \
                        3072}.",
        "properties": {
            "kind": {
                "type": "string",
                "enum": ["password", "passphrase", "uuid", "ed25519", "rsa"],
            },
            "length": {
                "type": "integer",
                "minimum": PASSWORD_LENGTH_MIN,
                "maximum": PASSWORD_LENGTH_MAX,
            },
            "alphabet": { "type": ["string", "object"] },
            "words": {
                "type": "integer",
                "minimum": PASSPHRASE_WORDS_MIN,
                "maximum": PASSPHRASE_WORDS_MAX,
            },
            "bits": { "type": "integer", "enum": RSA_BITS },
        },
        "required": ["kind"],
        "additionalProperties": false,
    })
}

/// What a result may have that people have something to do with.
fn approval() -> JsonObject {
    members(json!({
        "approval_id": { "type": "string" },
        "digest": { "type": "string", "description": "The short form that approvers see too." },
        "expires_at": { "type": "string", "description": "RFC 3339." },
        "retry_after_ms": { "type": "integer" },
        "reason": { "type": "string", "description": "The approver's words." },
    }))
}

fn uri() -> Value {
    json!({
        "type": "string",
        "description": "The secret's URI, such as vouchsafe://secrets/production/DATABASE_URL.",
        "maxLength": URI_CHARS_MAX,
    })
}

fn pattern() -> Value {
    json!({
        "type": "string",
        "description": "Only secrets that this matches: `*` is one part, `**` any number, such as \
                        vouchsafe://secrets/production/**.",
        "maxLength": URI_CHARS_MAX,
    })
}

fn page_token() -> Value {
    json!({
        "type": "string",
        "description": "next_token of the page before.",
        "maxLength": PAGE_TOKEN_CHARS_MAX,
    })
}

fn reason() -> Value {
    json!({
        "type": "string",
        "description": "What you need it for, for the person who decides: the task at hand, in a \
                        sentence or two.",
        "maxLength": REASON_CHARS_MAX,
    })
}

fn reason_kind() -> Value {
    json!({
        "type": "string",
        "description": "Which kind of reason it is, where the rule asks for one; a refusal says \
                        which there are.",
        "maxLength": ID_CHARS_MAX,
    })
}

/// What narrows a search of the log.
fn audit_filters() -> Value {
    let text = |description: &str, max: usize| json!({ "type": "string", "description": description, "maxLength": max });
    json!({
        "since": text("Entries of this time or later, RFC 3339.", TIME_CHARS_MAX),
        "until": text("Entries before this time, RFC 3339.", TIME_CHARS_MAX),
        "actor": text("By the key or user of this name.", NAME_CHARS_MAX),
        "action": text("Such as secret.read; secret.* takes all of a kind.", NAME_CHARS_MAX),
        "resource": text("About this URI, or all that this pattern matches.", URI_CHARS_MAX),
        "approval_id": text("About this approval.", ID_CHARS_MAX),
        "outcome": {
            "type": "string",
            "description": "How it ended.",
            "enum": ["ok", "refused", "failed"],
        },
        "group_by": {
            "type": "string",
            "description": "Count entries by this instead of listing them.",
            "enum": ["actor", "action", "resource", "outcome", "day"],
        },
        "limit": {
            "type": "integer",
            "description": "Entries on a page; 50 where nothing is said.",
            "minimum": 1,
            "maximum": AUDIT_ENTRIES_MAX,
        },
        "page_token": page_token(),
        "reason": reason(),
        "reason_kind": reason_kind(),
        "duration": duration(),
    })
}

fn duration() -> Value {
    json!({
        "type": "string",
        "description": "How long you need it, such as 15m or 1h; leave it out for the usual time.",
        "maxLength": DURATION_CHARS_MAX,
    })
}

fn id(description: &str) -> Value {
    json!({ "type": "string", "description": description, "maxLength": ID_CHARS_MAX })
}

fn members(value: Value) -> JsonObject {
    if let Value::Object(members) = value { members } else { JsonObject::new() }
}

fn object(value: Value) -> Arc<JsonObject> {
    Arc::new(members(value))
}
