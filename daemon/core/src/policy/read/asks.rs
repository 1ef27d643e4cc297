//! Reading whom a rule asks.

use std::time::Duration;

use super::super::defaults;
use super::super::directory::{ApproverRef, Directory, Member, eligible};
use super::super::parse::Options;
use super::super::quorum::{Factor, Quorum};
use super::super::rule::{Asks, Escalation};
use super::super::source::{Fields, Given, Reported, Value, Wrong, echo, truth, wrong};
use super::{PENDING_MIN, duration, shorter};

/// How many approvers a rule may name in one list.
const APPROVERS_MAX: usize = 100;
/// How many factors a rule may have.
const FACTORS_MAX: usize = 10;
const KEYS_OF_A_FACTOR: [&str; 2] = ["from", "count"];
const EXAMPLE: &str = "approvers = [\"group:oncall\", \"jane@example.com\"]";
const EXAMPLE_FACTOR: &str = "[[rule.factor]] with from = [\"group:security\"] and count = 1";

/// Whether people are asked, and whom.
pub(super) fn asks(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    options: &Options,
) -> Result<Asks, Reported> {
    match fields.read("approval", approval)?.unwrap_or(Approval::Required) {
        Approval::Required => quorum(fields, directory, options).map(Asks::People),
        Approval::Level => quorum(fields, directory, options).map(Asks::Level),
        Approval::None => Ok(Asks::Nobody),
    }
}

#[derive(Clone, Copy)]
enum Approval {
    Required,
    Level,
    None,
}

fn approval(value: Value<'_, '_>) -> Result<Approval, Wrong> {
    match value.text("approval = \"required\"")? {
        "required" => Ok(Approval::Required),
        "level" => Ok(Approval::Level),
        "none" => Ok(Approval::None),
        other => Err(wrong(
            format!("`approval` is `{}`", echo(other)),
            "write \"required\", \"level\" or \"none\"",
        )),
    }
}

fn quorum(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    options: &Options,
) -> Result<Quorum, Reported> {
    let self_approval = fields.read("self_approval", truth);
    let factors = if fields.has("factor") {
        factors(fields, directory)
    } else {
        approvers(fields, directory).map(|factor| vec![factor])
    };
    let self_approval = self_approval?.unwrap_or(false) || options.self_approval_everywhere;
    let quorum = Quorum { factors: factors?, self_approval };
    check_possible(fields, &quorum, directory)?;
    Ok(quorum)
}

/// `approvers` and `quorum`: a rule of one factor.
fn approvers(fields: &mut Fields<'_, '_, '_>, directory: &Directory) -> Result<Factor, Reported> {
    let from = people(fields, "approvers", |value| approver(value, directory));
    let count = fields.read("quorum", |value| {
        // One rule's people are counted below; no rule has more than there are.
        value.number(1, u32::MAX).map_err(|wrong_number| match value.number(0, 0) {
            Ok(_) => wrong("`quorum` is 0", "write 1 or more, or approval = \"none\""),
            Err(_) => wrong_number,
        })
    });
    let Some(from) = from? else {
        let message = "this rule asks for approval and names nobody to give it";
        return Err(fields.report_at("approvers", wrong(message, format!("write {EXAMPLE}"))));
    };
    Ok(Factor { from, count: count?.unwrap_or(defaults::QUORUM) })
}

/// `[[rule.factor]]`: several kinds of people, all of them needed.
fn factors(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
) -> Result<Vec<Factor>, Reported> {
    let mut twice = Ok(());
    for key in ["approvers", "quorum"] {
        if fields.has(key) {
            let message = format!("`{key}` and factors both say whom to ask");
            twice = Err(fields.report_key(key, wrong(message, "write one or the other")));
        }
    }
    let factors = fields.read_tables("factor", "factor.", EXAMPLE_FACTOR, |factor| {
        factor.refuse_others(|key| {
            if KEYS_OF_A_FACTOR.contains(&key) {
                return Ok(());
            }
            let mend = format!("a factor has {}", KEYS_OF_A_FACTOR.join(", "));
            Err(wrong(format!("`{}` is not a key of a factor", echo(key)), mend))
        });
        let from = people(factor, "from", |value| approver(value, directory));
        let count = factor.read("count", |value| value.number(1, 100));
        let Some(from) = from? else {
            let message = "this factor names nobody";
            let mend = "write from = [\"group:security\"]";
            return Err(factor.report_at("from", wrong(message, mend)));
        };
        Ok(Factor { from, count: count?.unwrap_or(defaults::QUORUM) })
    })?;
    twice?;
    let factors = factors.unwrap_or_default();
    if !(1..=FACTORS_MAX).contains(&factors.len()) {
        let message = format!("{} factors are not what a rule can have", factors.len());
        let mend = format!("write 1 to {FACTORS_MAX}");
        return Err(fields.report_at("factor", wrong(message, mend)));
    }
    Ok(factors)
}

/// Refuses a quorum that all of the people together could not give.
fn check_possible(
    fields: &mut Fields<'_, '_, '_>,
    quorum: &Quorum,
    directory: &Directory,
) -> Result<(), Reported> {
    let from: Vec<_> = quorum.approvers().into_iter().cloned().collect();
    let people = eligible(&from, directory);
    let people: Vec<_> = people.iter().map(String::as_str).collect();
    if quorum.is_met(&people, &[], directory) {
        return Ok(());
    }
    let needed = quorum.people();
    if fields.has("factor") {
        let most: u32 = quorum.filled(&people, &[], directory).iter().sum();
        let message = format!(
            "the factors take {needed} different people, and the users can fill only {most} places"
        );
        return Err(
            fields.report_at("factor", wrong(message, "name more people, or lower a count"))
        );
    }
    let people = people.len();
    let message = format!("`quorum` is {needed} and only {people} of the users can approve");
    let mend = format!("lower it to {people}, or name more approvers");
    Err(fields.report_at("quorum", wrong(message, mend)))
}

/// Who may answer as well, after a while.
pub(super) fn escalation(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
    waits: Duration,
) -> Given<Escalation> {
    let after = fields.read("escalate_after", |value| {
        let after = duration(value, PENDING_MIN)?;
        shorter(value.name, after, waits)
    });
    let to = people(fields, "escalate_to", |value| approver(value, directory));
    match (after?, to?) {
        (None, None) => Ok(None),
        (Some(after), Some(to)) => Ok(Some(Escalation { after, to })),
        (Some(_), None) => {
            let message = "`escalate_after` does not say who may answer then";
            let mend = "write escalate_to = [\"group:managers\"], or remove it";
            Err(fields.report_key("escalate_after", wrong(message, mend)))
        }
        (None, Some(_)) => {
            let message = "`escalate_to` does not say when";
            let mend = "write escalate_after = \"30m\", or remove it";
            Err(fields.report_key("escalate_to", wrong(message, mend)))
        }
    }
}

/// Who may have a lease at once in an emergency.
pub(super) fn break_glass(
    fields: &mut Fields<'_, '_, '_>,
    directory: &Directory,
) -> Result<Vec<ApproverRef>, Reported> {
    let named = people(fields, "break_glass", |value| breaker(value, directory))?;
    match named {
        Some(named) => Ok(named),
        None if fields.has("break_glass") => {
            let message = "`break_glass` names nobody";
            let mend = "write break_glass = [\"group:oncall\"], or remove it";
            Err(fields.report_at("break_glass", wrong(message, mend)))
        }
        None => Ok(Vec::new()),
    }
}

/// A list of people, sorted, each once; nothing where there is none, or an empty one.
fn people(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
    read: impl Fn(Value<'_, '_>) -> Result<ApproverRef, Wrong>,
) -> Given<Vec<ApproverRef>> {
    let example = format!("{key} = [\"group:oncall\", \"jane@example.com\"]");
    let mut named = fields.read_each(key, &example, read)?.unwrap_or_default();
    if named.len() > APPROVERS_MAX {
        let message = format!("{} approvers are too many", named.len());
        let mend = format!("name {APPROVERS_MAX} at most, or a group");
        return Err(fields.report_at(key, wrong(message, mend)));
    }
    named.sort();
    named.dedup();
    Ok(if named.is_empty() { None } else { Some(named) })
}

/// Somebody who can approve, or a group in which somebody can.
fn approver(value: Value<'_, '_>, directory: &Directory) -> Result<ApproverRef, Wrong> {
    let who = reference(value)?;
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

/// Somebody who may sign in, or a group in which somebody may.
fn breaker(value: Value<'_, '_>, directory: &Directory) -> Result<ApproverRef, Wrong> {
    let who = reference(value)?;
    let mend = "name users who may sign in, or a group of such";
    let of_user = |name: &str| match directory.member(name) {
        None => Err(wrong(format!("there is no user `{name}`"), mend)),
        Some(member) if !member.enabled => {
            Err(wrong(format!("the user `{name}` is disabled"), mend))
        }
        Some(_) => Ok(()),
    };
    match &who {
        ApproverRef::User(name) => of_user(name)?,
        ApproverRef::Group(group) => {
            if !directory.group(group).any(|member| member.enabled) {
                let message = format!("the group `{group}` has no members who may sign in");
                return Err(wrong(message, mend));
            }
        }
    }
    Ok(who)
}

fn reference(value: Value<'_, '_>) -> Result<ApproverRef, Wrong> {
    let text = value.text(&format!("{} = [\"group:oncall\"]", value.name))?;
    text.parse().map_err(|_| {
        let message = format!("`{}` is not an approver", echo(text));
        wrong(message, "write a user's name, or group:NAME")
    })
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
