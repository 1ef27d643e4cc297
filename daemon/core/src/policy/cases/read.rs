//! Reading one `[[case]]`.

use std::fmt;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::super::directory::ApproverRef;
use super::super::read;
use super::super::source::{Fields, Reported, Source, Value, Wrong, echo, truth, wrong};
use super::Case;
use super::facts::{Fact, joined, listed};
use crate::key::{CallTraits, Level};
use crate::text::Reason;
use crate::time::{UnixTime, format_duration, parse_duration};

const KEYS: [&str; 28] = [
    "name",
    "resource",
    "operation",
    "key",
    "level",
    "owner",
    "reason",
    "reason_kind",
    "at",
    "arguments",
    "read_only",
    "destructive",
    "expect",
    "rule",
    "approvers",
    "quorum",
    "factors",
    "conditions_failed",
    "reason_lacks",
    "would",
    "require_reason",
    "min_reason_length",
    "lease_default",
    "lease_max",
    "uses",
    "pending_for",
    "escalate_after",
    "remember",
];

/// Reads a case; nothing where something is wrong with it, which is then among the problems.
pub(super) fn case<'t>(source: &mut Source<'_>, value: &'t Spanned<DeValue<'t>>) -> Option<Case> {
    let mut fields = Fields::new(source, value, "case")?;
    fields.refuse_others(|key| {
        if KEYS.contains(&key) {
            return Ok(());
        }
        let mend = format!("a case has {}", KEYS.join(", "));
        Err(wrong(format!("`{}` is not a key of a case", echo(key)), mend))
    });
    let name = needed(&mut fields, "name", "Names are free to see", text);
    let resource = needed(&mut fields, "resource", "vouchsafe://secrets/demo/GREETING", |value| {
        parsed(value, "write a resource such as vouchsafe://secrets/production/DATABASE_URL")
    });
    let operation = needed(&mut fields, "operation", "read", |value| read::operation(value, None));
    let asker = asker(&mut fields);
    let decision = needed(&mut fields, "expect", "ask", decision);
    let rest = expected(&mut fields);
    let (file, line) = (fields.file().to_owned(), fields.line);
    let mut expected = vec![(Fact::Decision, decision.ok()?)];
    expected.extend(rest.ok()?);
    let Asker { key, level, owner, reason, reason_kind, at, arguments, call } = asker.ok()?;
    Some(Case {
        file,
        line,
        name: name.ok()?,
        resource: resource.ok()?,
        operation: operation.ok()?,
        key,
        level,
        owner,
        reason,
        reason_kind,
        at,
        arguments,
        call,
        expected,
    })
}

/// What of a case says who asks, when and why.
struct Asker {
    key: Option<String>,
    level: Level,
    owner: Option<String>,
    reason: Option<Reason>,
    reason_kind: Option<String>,
    at: Option<UnixTime>,
    arguments: Json,
    call: CallTraits,
}

fn asker(fields: &mut Fields<'_, '_, '_>) -> Result<Asker, Reported> {
    let key = fields.read("key", text);
    let level = fields
        .read("level", |value| parsed::<Level>(value, "write level = \"balanced\", or remove it"));
    let owner = fields.read("owner", text);
    let reason = fields.read("reason", |value| {
        let reason = value.text("reason = \"INC-1234: the database is slow\"")?;
        Reason::parse(reason).map_err(|error| wrong(error.to_string(), "write another"))
    });
    let reason_kind = fields.read("reason_kind", text);
    let at = fields.read("at", |value| {
        const EXAMPLE: &str = "at = \"2026-11-21T10:00:00Z\"";
        let at = value.time(EXAMPLE)?;
        UnixTime::parse_rfc3339(&at).ok_or_else(|| {
            wrong(format!("`{}` is not a time of day", echo(&at)), format!("write {EXAMPLE}"))
        })
    });
    let arguments = fields.read("arguments", arguments);
    let read_only = fields.read("read_only", truth);
    let destructive = fields.read("destructive", truth);
    let call = match (read_only?, destructive?) {
        (None, None) => CallTraits::UNKNOWN,
        // What says one of the two says that it is not the other.
        (read_only, destructive) => CallTraits {
            read_only: read_only.unwrap_or(false),
            destructive: destructive.unwrap_or(false),
        },
    };
    Ok(Asker {
        key: key?,
        level: level?.unwrap_or_default(),
        owner: owner?,
        reason: reason?,
        reason_kind: reason_kind?,
        at: at?,
        arguments: arguments?.unwrap_or_else(|| Json::Object(serde_json::Map::new())),
        call,
    })
}

/// Arguments as a table, or as JSON text.
fn arguments(value: Value<'_, '_>) -> Result<Json, Wrong> {
    const MEND: &str = "write arguments = { title = \"Hello\" }, or an object as JSON text";
    let json = if value.is_text() {
        let text = value.text(MEND)?;
        serde_json::from_str(text)
            .map_err(|_| wrong(format!("`{}` is not JSON", echo(text)), MEND))?
    } else {
        value.json()
    };
    if json.is_object() { Ok(json) } else { Err(wrong("`arguments` is not a table", MEND)) }
}

/// Everything expected but the decision, as far as it is given.
fn expected(fields: &mut Fields<'_, '_, '_>) -> Result<Vec<(Fact, String)>, Reported> {
    const EXAMPLE: &str = "approvers = [\"group:oncall\"]";
    let approvers = fields.read_each("approvers", EXAMPLE, |value| {
        parsed::<ApproverRef>(value, "write a user's name, or group:NAME")
    });
    let approvers = approvers.map(|approvers| {
        approvers.map(|mut approvers| {
            approvers.sort();
            joined(&approvers.iter().collect::<Vec<_>>())
        })
    });
    let conditions_failed =
        fields.read_each("conditions_failed", "conditions_failed = [\"days\"]", text);
    let mut read = |fact: Fact, read: fn(Value<'_, '_>) -> Result<String, Wrong>| {
        fields.read(fact.key(), read).map(|given| given.map(|given| (fact, given)))
    };
    let facts = [
        read(Fact::Rule, text),
        approvers.map(|given| given.map(|given| (Fact::Approvers, given))),
        read(Fact::Quorum, number),
        read(Fact::Factors, number),
        conditions_failed.map(|given| {
            given.map(|given| {
                (Fact::ConditionsFailed, listed(given.iter().map(String::as_str).collect()))
            })
        }),
        read(Fact::ReasonLacks, text),
        read(Fact::Would, text),
        read(Fact::RequireReason, |value| truth(value).map(|truth| truth.to_string())),
        read(Fact::MinReasonLength, number),
        read(Fact::LeaseDefault, duration),
        read(Fact::LeaseMax, duration),
        read(Fact::Uses, number),
        read(Fact::PendingFor, duration),
        read(Fact::EscalateAfter, duration),
        read(Fact::Remember, |value| truth(value).map(|truth| truth.to_string())),
    ];
    let facts: Result<Vec<_>, _> = facts.into_iter().collect();
    Ok(facts?.into_iter().flatten().collect())
}

fn needed<T>(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
    example: &str,
    read: impl FnOnce(Value<'_, '_>) -> Result<T, Wrong>,
) -> Result<T, Reported> {
    fields.read(key, read)?.ok_or_else(|| {
        let message = format!("this case has no `{key}`");
        fields.report(wrong(message, format!("write {key} = \"{example}\"")))
    })
}

fn decision(value: Value<'_, '_>) -> Result<String, Wrong> {
    match value.text("expect = \"ask\"")? {
        decision @ ("ask" | "approve" | "allow" | "observe" | "reason" | "refuse") => {
            Ok(decision.to_owned())
        }
        other => {
            let message = format!("`expect` is `{}`", echo(other));
            let mend = "write \"ask\", \"approve\" (by its conditions), \"allow\" (nobody is \
                        asked), \"observe\", \"reason\" (it does not do) or \"refuse\"";
            Err(wrong(message, mend))
        }
    }
}

fn text(value: Value<'_, '_>) -> Result<String, Wrong> {
    Ok(echo(value.text(&format!("{} = \"...\"", value.name))?))
}

fn number(value: Value<'_, '_>) -> Result<String, Wrong> {
    value.number(0, u32::MAX).map(|number| number.to_string())
}

fn duration(value: Value<'_, '_>) -> Result<String, Wrong> {
    let text = value.text(&format!("{} = \"15m\"", value.name))?;
    parse_duration(text).map(format_duration).map_err(|_| {
        let message = format!("`{}` is not a duration", echo(text));
        wrong(message, "write a number and a unit, such as 90s, 15m, 1h or 7d")
    })
}

fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
    value: Value<'_, '_>,
    mend: &str,
) -> Result<T, Wrong> {
    let text = value.text(&format!("{} = \"...\"", value.name))?;
    text.parse().map_err(|error: T::Err| wrong(error.to_string(), mend))
}
