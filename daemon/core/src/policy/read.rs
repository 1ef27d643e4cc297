//! Reading one `[[rule]]`.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::defaults;
use super::directory::{ApproverRef, Directory, Member, eligible};
use super::parse::Options;
use super::quorum::{Factor, Quorum};
use super::rule::{Asks, Bind, Denial, LeaseTerms, Mode, Rule, RuleName};
use super::set::{AnyRule, Placed};
use super::source::{Fields, Given, Reported, Source, Value, Wrong, echo, truth, wrong};
use crate::resource::{Kind, Operation, Operations, Pattern};
use crate::text::REASON_CHARS_MAX;
use crate::time::{format_duration, parse_duration};

/// Every key of a rule.
const KEYS: [&str; 13] = [
    "name",
    "resource",
    "operations",
    "effect",
    "approval",
    "approvers",
    "quorum",
    "self_approval",
    "require_reason",
    "min_reason_length",
    "lease",
    "pending_for",
    "follow_rotation",
];
/// Those that say something where nobody is asked only together with people who are.
const KEYS_OF_ASKING: [&str; 4] = ["approvers", "quorum", "self_approval", "pending_for"];
/// Those that a rule with `effect = "deny"` has.
const KEYS_OF_DENYING: [&str; 4] = ["name", "resource", "operations", "effect"];
const KEYS_OF_A_LEASE: [&str; 3] = ["default", "max", "uses"];
/// Keys that the format has a meaning for and this version none.
const KEYS_TO_COME: [&str; 5] = ["auto_approve", "bind", "factor", "notify", "remember"];

/// How many approvers a rule may name.
const APPROVERS_MAX: usize = 100;
const USES_MAX: u32 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);
const PENDING_MIN: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Reads a rule; nothing where something is wrong with it, which is then among the problems.
pub(super) fn rule<'t>(
    source: &mut Source<'_>,
    value: &'t Spanned<DeValue<'t>>,
    directory: &Directory,
    options: Options,
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
    Err(if KEYS_TO_COME.contains(&key) {
        wrong(format!("`{key}` is not supported by this version"), "remove it")
    } else {
        let mend = format!("a rule has {}", KEYS.join(", "));
        wrong(format!("`{}` is not a key of a rule", echo(key)), mend)
    })
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
    options: Options,
) -> Result<Rule, Reported> {
    let name = name(fields);
    let resource = resource(fields);
    let operations = operations(fields, resource.as_ref().ok());
    let asks = asks(fields, directory, options);
    let reason = reason(fields);
    let lease = lease(fields);
    let pending_for = fields.read("pending_for", |value| duration(value, PENDING_MIN));
    let follow_rotation = fields.read("follow_rotation", truth);

    let (name, resource) = (name?, resource?);
    let operations = operations?.unwrap_or_else(|| defaults::operations(resource.kind()));
    let (require_reason, min_reason_length) = reason?;
    Ok(Rule {
        name,
        resource,
        operations,
        asks: asks?,
        mode: Mode::Enforce,
        auto_approve: None,
        require_reason,
        min_reason_length,
        reason_pattern: None,
        reason_kinds: Vec::new(),
        lease: lease?,
        pending_for: pending_for?.unwrap_or(defaults::PENDING_FOR),
        escalation: None,
        remind_every: None,
        remember: false,
        bind: Bind::Arguments,
        break_glass: Vec::new(),
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

fn asks(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    options: Options,
) -> Result<Asks, Reported> {
    let required = fields.read("approval", approval)?.unwrap_or(true);
    if required {
        quorum(fields, directory, options).map(Asks::People)
    } else {
        for key in KEYS_OF_ASKING {
            refuse_meaningless(fields, key, "asks nobody");
        }
        Ok(Asks::Nobody)
    }
}

/// Whether people are asked.
fn approval(value: Value<'_, '_>) -> Result<bool, Wrong> {
    const MEND: &str = "write \"required\" or \"none\"";
    match value.text("approval = \"required\"")? {
        "required" => Ok(true),
        "none" => Ok(false),
        "level" => Err(wrong("`approval = \"level\"` is not supported by this version", MEND)),
        other => Err(wrong(format!("`approval` is `{}`", echo(other)), MEND)),
    }
}

fn quorum(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    options: Options,
) -> Result<Quorum, Reported> {
    const EXAMPLE: &str = "approvers = [\"group:oncall\", \"jane@example.com\"]";
    let approvers = fields.read_each("approvers", EXAMPLE, |value| approver(value, directory));
    let count = fields.read("quorum", |value| {
        // One rule's people are counted below; no rule has more than there are.
        value.number(1, u32::MAX).map_err(|wrong_number| match value.number(0, 0) {
            Ok(_) => wrong("`quorum` is 0", "write 1 or more, or approval = \"none\""),
            Err(_) => wrong_number,
        })
    });
    let self_approval = fields.read("self_approval", truth);

    let mut approvers = approvers?.unwrap_or_default();
    if approvers.is_empty() {
        let message = "this rule asks for approval and names nobody to give it";
        return Err(fields.report_at("approvers", wrong(message, format!("write {EXAMPLE}"))));
    }
    if approvers.len() > APPROVERS_MAX {
        let message = format!("{} approvers are too many", approvers.len());
        let mend = format!("name {APPROVERS_MAX} at most, or a group");
        return Err(fields.report_at("approvers", wrong(message, mend)));
    }
    approvers.sort();
    approvers.dedup();
    let count = count?.unwrap_or(defaults::QUORUM);
    let people = eligible(&approvers, directory).len();
    if usize::try_from(count).is_ok_and(|count| count > people) {
        let message = format!("`quorum` is {count} and only {people} of the users can approve");
        let mend = format!("lower it to {people}, or name more approvers");
        return Err(fields.report_at("quorum", wrong(message, mend)));
    }
    let self_approval = self_approval?.unwrap_or(false) || options.self_approval_everywhere;
    Ok(Quorum { factors: vec![Factor { from: approvers, count }], self_approval })
}

fn approver(value: Value<'_, '_>, directory: &Directory) -> Result<ApproverRef, Wrong> {
    let text = value.text("approvers = [\"group:oncall\"]")?;
    let who: ApproverRef = text.parse().map_err(|_| {
        let message = format!("`{}` is not an approver", echo(text));
        wrong(message, "write a user's name, or group:NAME")
    })?;
    match &who {
        ApproverRef::User(name) => user(name, directory.member(name))?,
        ApproverRef::Group(group) => {
            let mend = "put an enabled user with the role approver into it, or name another";
            if directory.group(group).next().is_none() {
                return Err(wrong(format!("the group `{group}` has no members"), mend));
            }
            if !directory.group(group).any(Member::counts) {
                return Err(wrong(format!("nobody in the group `{group}` can approve"), mend));
            }
        }
    }
    Ok(who)
}

fn user(name: &str, member: Option<&Member>) -> Result<(), Wrong> {
    match member {
        None => {
            let mend = "make the user with `vouchsafe users create`, or name another";
            Err(wrong(format!("there is no user `{name}`"), mend))
        }
        Some(member) if !member.enabled => {
            let mend = "enable the user, or name another";
            Err(wrong(format!("the user `{name}` is disabled"), mend))
        }
        Some(member) if !member.approves => {
            let mend = "give the user the role approver, or name another";
            Err(wrong(format!("the user `{name}` is neither an approver nor an admin"), mend))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a reason is required, and how many visible characters it must have.
fn reason(fields: &mut Fields<'_, '_, '_>) -> Result<(bool, u32), Reported> {
    let most = u32::try_from(REASON_CHARS_MAX).unwrap_or(u32::MAX);
    let required = fields.read("require_reason", truth);
    let length = fields.read("min_reason_length", |value| value.number(1, most));
    match (required?.unwrap_or(false), length?) {
        (false, Some(_)) => Err(fields.report_at(
            "min_reason_length",
            wrong(
                "`min_reason_length` means nothing on a rule that requires no reason",
                "write require_reason = true, or remove it",
            ),
        )),
        (false, None) => Ok((false, 0)),
        (true, length) => Ok((true, length.unwrap_or(1))),
    }
}

fn lease(fields: &mut Fields<'_, '_, '_>) -> Result<LeaseTerms, Reported> {
    let Some(mut lease) = fields.table("lease")? else {
        return Ok(LeaseTerms { default: defaults::LEASE, max: defaults::LEASE_MAX, uses: None });
    };
    lease.refuse_others(|key| {
        if KEYS_OF_A_LEASE.contains(&key) {
            return Ok(());
        }
        let mend = format!("a lease has {}", KEYS_OF_A_LEASE.join(", "));
        Err(wrong(format!("`{}` is not a key of a lease", echo(key)), mend))
    });
    let default = lease.read("default", |value| duration(value, SECOND));
    let max = lease.read("max", |value| duration(value, SECOND));
    let uses = lease.read("uses", |value| value.number(1, USES_MAX));
    let (default, max) = match (default?, max?) {
        (None, None) => (defaults::LEASE, defaults::LEASE_MAX),
        (None, Some(max)) => (defaults::LEASE.min(max), max),
        (Some(default), None) => (default, defaults::LEASE_MAX.max(default)),
        (Some(default), Some(max)) => (default, max),
    };
    if default > max {
        let (default, max) = (format_duration(default), format_duration(max));
        let message = format!("`lease.default` is {default} and `lease.max` only {max}");
        return Err(lease.report_at("default", wrong(message, "make max the longer one")));
    }
    Ok(LeaseTerms { default, max, uses: uses? })
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
