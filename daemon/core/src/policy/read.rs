//! Reading one `[[rule]]`.

mod asks;
mod auto_approve;
mod lease;
mod notify;
mod reason;

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use self::reason::ReasonRules;
use super::defaults;
use super::directory::Directory;
use super::parse::Options;
use super::rule::{Asks, Bind, Denial, Mode, Rule, RuleName};
use super::set::{AnyRule, Placed};
use super::source::{Fields, Given, Reported, Source, Value, Wrong, echo, truth, wrong};
use crate::resource::{Kind, Operation, Operations, Pattern};
use crate::time::{format_duration, parse_duration};

/// Every key of a rule.
const KEYS: [&str; 26] = [
    "name",
    "resource",
    "operations",
    "effect",
    "approval",
    "mode",
    "approvers",
    "quorum",
    "factor",
    "self_approval",
    "auto_approve",
    "require_reason",
    "min_reason_length",
    "reason_pattern",
    "reason_hint",
    "reason_kinds",
    "lease",
    "pending_for",
    "escalate_after",
    "escalate_to",
    "remind_every",
    "remember",
    "bind",
    "follow_rotation",
    "break_glass",
    "notify",
];
/// Those that say something only where people are asked.
const KEYS_OF_ASKING: [&str; 13] = [
    "mode",
    "approvers",
    "quorum",
    "factor",
    "self_approval",
    "auto_approve",
    "pending_for",
    "escalate_after",
    "escalate_to",
    "remind_every",
    "remember",
    "break_glass",
    "notify",
];
/// Those that a rule with `effect = "deny"` has.
const KEYS_OF_DENYING: [&str; 4] = ["name", "resource", "operations", "effect"];

const SECOND: Duration = Duration::from_secs(1);
const PENDING_MIN: Duration = Duration::from_secs(10);
const REMIND_MIN: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Reads a rule; nothing where something is wrong with it, which is then among the problems.
pub(super) fn rule<'t>(
    source: &mut Source<'_>,
    value: &'t Spanned<DeValue<'t>>,
    directory: &Directory,
    options: &Options,
) -> Option<Placed> {
    let mut fields = Fields::new(source, value, "rule")?;
    fields.refuse_others(known);
    let (file, line) = (fields.file().to_owned(), fields.line);
    let effect = fields.read("effect", effect);
    let rule = match effect {
        Ok(Some(Effect::Deny)) => denial(&mut fields).map(AnyRule::Deny),
        Ok(Some(Effect::Allow) | None) => {
            allowing(&mut fields, directory, options).map(AnyRule::Allow)
        }
        Err(Reported) => Err(Reported),
    };
    Some(Placed { file, line, rule: rule.ok()? })
}

#[derive(Clone, Copy)]
enum Effect {
    Allow,
    Deny,
}

fn known(key: &str) -> Result<(), Wrong> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    let mend = format!("a rule has {}", KEYS.join(", "));
    Err(wrong(format!("`{}` is not a key of a rule", echo(key)), mend))
}

fn effect(value: Value<'_, '_>) -> Result<Effect, Wrong> {
    match value.text("effect = \"deny\"")? {
        "allow" => Ok(Effect::Allow),
        "deny" => Ok(Effect::Deny),
        other => Err(wrong(
            format!("`effect` is `{}`", echo(other)),
            "write \"allow\" or \"deny\"; without it, a rule allows",
        )),
    }
}

fn denial(fields: &mut Fields<'_, '_, '_>) -> Result<Denial, Reported> {
    let name = name(fields);
    let resource = resource(fields);
    let operations = operations(fields, resource.as_ref().ok());
    for key in KEYS.iter().filter(|key| !KEYS_OF_DENYING.contains(key)) {
        refuse_meaningless(fields, key, "denies");
    }
    let (name, resource) = (name?, resource?);
    let operations = operations?.unwrap_or_else(|| resource.kind().operations());
    Ok(Denial { name, resource, operations })
}

fn allowing(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    options: &Options,
) -> Result<Rule, Reported> {
    let name = name(fields);
    let resource = resource(fields);
    let kind = resource.as_ref().ok().map(Pattern::kind);
    let operations = operations(fields, resource.as_ref().ok()).map(|listed| {
        // Without a kind there is a problem already, and no rule comes of this.
        listed.or_else(|| kind.map(defaults::operations)).unwrap_or_default()
    });
    let asks = asks::asks(fields, directory, options);
    let asks_somebody = !matches!(asks, Ok(Asks::Nobody));
    if !asks_somebody {
        for key in KEYS_OF_ASKING {
            refuse_meaningless(fields, key, "asks nobody");
        }
    }
    let mode = fields.read("mode", mode);
    let auto_approve = match operations {
        Ok(operations) if asks_somebody => auto_approve::auto_approve(fields, operations),
        Ok(_) | Err(Reported) => Ok(None),
    };
    let reason = reason::reason(fields);
    let lease = lease::lease(fields);
    let pending_for = pending_for(fields);
    let waits = pending_for.unwrap_or(LONGEST);
    let escalation = asks::escalation(fields, directory, waits);
    let remind_every = remind_every(fields, waits);
    let binding = binding(fields, kind);
    let break_glass = asks::break_glass(fields, directory);
    let notify = notify::channels(fields, options);
    let follow_rotation = fields.read("follow_rotation", truth);

    let ReasonRules { required, min_length, pattern, kinds } = reason?;
    let (remember, bind) = binding?;
    Ok(Rule {
        name: name?,
        resource: resource?,
        operations: operations?,
        asks: asks?,
        mode: mode?.unwrap_or_default(),
        auto_approve: auto_approve?,
        require_reason: required,
        min_reason_length: min_length,
        reason_pattern: pattern,
        reason_kinds: kinds,
        lease: lease?,
        pending_for: pending_for?,
        escalation: escalation?,
        remind_every: remind_every?,
        remember,
        bind,
        break_glass: break_glass?,
        notify: notify?,
        follow_rotation: follow_rotation?.unwrap_or(false),
    })
}

fn name(fields: &mut Fields<'_, '_, '_>) -> Result<RuleName, Reported> {
    const MEND: &str = "write name = \"Production secrets\"";
    let name = fields.read("name", |value| {
        let name = value.text("name = \"Production secrets\"")?;
        name.parse().map_err(|_| {
            let message = format!("`{}` cannot be a rule's name", echo(name));
            wrong(message, "write 1 to 80 visible characters")
        })
    })?;
    name.ok_or_else(|| fields.report(wrong("this rule has no `name`", MEND)))
}

fn resource(fields: &mut Fields<'_, '_, '_>) -> Result<Pattern, Reported> {
    const MEND: &str = "write resource = \"vouchsafe://secrets/production/*\"";
    let resource = fields.read("resource", |value| {
        let text = value.text("resource = \"vouchsafe://secrets/production/*\"")?;
        text.parse().map_err(|error: crate::resource::PatternError| {
            wrong(error.to_string(), "write a resource such as vouchsafe://secrets/production/*")
        })
    })?;
    resource.ok_or_else(|| fields.report(wrong("this rule has no `resource`", MEND)))
}

fn operations(fields: &mut Fields<'_, '_, '_>, resource: Option<&Pattern>) -> Given<Operations> {
    const EXAMPLE: &str = "operations = [\"list\", \"use\", \"read\"]";
    let kind = resource.map(Pattern::kind);
    let listed = fields.read_each("operations", EXAMPLE, |value| operation(value, kind))?;
    match listed {
        Some(listed) if listed.is_empty() => Err(fields.report_at(
            "operations",
            wrong(
                "`operations` is empty, so the rule can never match",
                "list the operations it is for, or remove the line",
            ),
        )),
        listed => Ok(listed.map(Operations::from_iter)),
    }
}

/// Reads an operation, which must be one of the kind's where that is known.
pub(super) fn operation(value: Value<'_, '_>, kind: Option<Kind>) -> Result<Operation, Wrong> {
    let text = value.text("operations = [\"read\"]")?;
    let operation: Operation = text.parse().map_err(|_| {
        let message = format!("`{}` is not an operation", echo(text));
        wrong(message, "write list, use, read, write, delete or call")
    })?;
    match kind {
        Some(kind) if !kind.operations().contains(operation) => Err(wrong(
            format!("`{operation}` is not something that can be done to {kind}"),
            format!("{kind} have {}", kind.operations()).replace("audit have", "the log has"),
        )),
        Some(_) | None => Ok(operation),
    }
}

/// Whether the rule is in force.
fn mode(value: Value<'_, '_>) -> Result<Mode, Wrong> {
    match value.text("mode = \"observe\"")? {
        "enforce" => Ok(Mode::Enforce),
        "observe" => Ok(Mode::Observe),
        other => Err(wrong(
            format!("`mode` is `{}`", echo(other)),
            "write \"enforce\" or \"observe\"; without it, a rule is in force",
        )),
    }
}

fn pending_for(fields: &mut Fields<'_, '_, '_>) -> Result<Duration, Reported> {
    let given = fields.read("pending_for", |value| duration(value, PENDING_MIN))?;
    Ok(given.unwrap_or(defaults::PENDING_FOR))
}

/// How often people are reminded; less often than an ask waits, or they never would be.
fn remind_every(fields: &mut Fields<'_, '_, '_>, waits: Duration) -> Given<Duration> {
    fields.read("remind_every", |value| {
        let every = duration(value, REMIND_MIN)?;
        shorter(value.name, every, waits)
    })
}

/// Refuses a time that an ask does not wait.
fn shorter(name: &str, time: Duration, waits: Duration) -> Result<Duration, Wrong> {
    if time < waits {
        return Ok(time);
    }
    let (shown, waits) = (format_duration(time), format_duration(waits));
    let message = format!("`{name}` is {shown}, and an ask waits only {waits}");
    Err(wrong(message, "write a shorter time, or a longer `pending_for`"))
}

/// Whether a session can be approved, and what an approval of a call is bound to.
fn binding(fields: &mut Fields<'_, '_, '_>, kind: Option<Kind>) -> Result<(bool, Bind), Reported> {
    let remember = fields.read("remember", truth);
    let bind = fields.read("bind", |value| match value.text("bind = \"tool\"")? {
        "arguments" => Ok(Bind::Arguments),
        "tool" => Ok(Bind::Tool),
        other => {
            let mend = "write \"arguments\" or \"tool\"";
            Err(wrong(format!("`bind` is `{}`", echo(other)), mend))
        }
    });
    let (remember, bind) = (remember?.unwrap_or(false), bind?);
    match (kind, bind) {
        (Some(Kind::Secrets), Some(_)) => {
            let message = "`bind` means nothing on a rule for secrets, which have no arguments";
            Err(fields.report_key("bind", wrong(message, "remove it")))
        }
        (Some(Kind::Tools | Kind::Audit | Kind::Policy), None | Some(Bind::Arguments))
            if remember =>
        {
            let message = "`remember` cannot hold where an approval is good for one call with \
                           these arguments";
            let mend = "write bind = \"tool\", or remove it";
            Err(fields.report_key("remember", wrong(message, mend)))
        }
        (_, bind) => Ok((remember, bind.unwrap_or_default())),
    }
}

/// A duration in whole seconds between `least` and thirty days.
fn duration(value: Value<'_, '_>, least: Duration) -> Result<Duration, Wrong> {
    let text = value.text(&format!("{} = \"15m\"", value.name))?;
    let duration = parse_duration(text).map_err(|_| {
        let message = format!("`{}` is not a duration", echo(text));
        wrong(message, "write a number and a unit, such as 90s, 15m, 1h or 7d")
    })?;
    if duration < least || duration > LONGEST || duration.subsec_nanos() != 0 {
        let message = format!("`{}` is {}", value.name, echo(text));
        let least = format_duration(least);
        return Err(wrong(message, format!("write whole seconds from {least} to 30d")));
    }
    Ok(duration)
}

fn refuse_meaningless(fields: &mut Fields<'_, '_, '_>, key: &str, rule: &str) {
    if fields.has(key) {
        let message = format!("`{key}` means nothing on a rule that {rule}");
        fields.report_key(key, wrong(message, "remove it"));
    }
}
