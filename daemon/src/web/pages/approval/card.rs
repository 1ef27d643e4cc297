//! What somebody reads before they answer: the whole ask in one glance.
//!
//! The same as the command line's card shows. An answer carries the SHA-256 of what this was
//! written to, so that the log can tell later what its giver had before their eyes.

mod change;
mod past;
mod people;

use askama::Template;
use vouchsafe_core::approval::{Approval, Ask, Item, Status};
use vouchsafe_core::caller::Transport;
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::{escape_json, escape_untrusted};
use vouchsafe_core::time::UnixTime;

pub(in crate::web::pages) use self::people::may_remember;
use crate::broker::ApprovalView;
use crate::web::pages::words::{Moment, count, moment, span};

/// Arguments longer than this, in bytes, scroll; they are shown whole, as all of it is approved.
const ARGUMENTS_TALL: usize = 1_500;
/// What the resources of secrets begin with.
const SECRETS: &str = "vouchsafe://secrets/";

/// The ask, as a page shows it. All text is safe to show; the template escapes it for HTML.
#[derive(Debug, Template)]
#[template(path = "pages/evidence.html")]
pub(in crate::web::pages) struct Card {
    pub(in crate::web::pages) id: String,
    pub(in crate::web::pages) project: String,
    pub(in crate::web::pages) headline: String,
    status: &'static str,
    asked: Moment,
    expires: Option<Moment>,
    settled: Option<Moment>,
    stopped: bool,
    /// What should make them stop and think.
    cautions: Vec<String>,
    said: Said,
    rows: Vec<Row>,
}

/// Why it is asked.
#[derive(Debug)]
struct Said {
    text: String,
    /// Whose words these are; empty where there are none.
    by: String,
    kind: String,
    suspicious: bool,
}

/// One fact: a label and lines.
#[derive(Debug)]
struct Row {
    label: &'static str,
    lines: Vec<Line>,
    /// It is so long that it scrolls by itself.
    tall: bool,
}

/// A line, and how it looks.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Line {
    text: String,
    class: &'static str,
}

impl Card {
    /// The card of an approval, as somebody sees it now.
    pub(in crate::web::pages) fn of(view: &ApprovalView, now: UnixTime) -> Self {
        let approval = &view.approval;
        let ask = approval.ask();
        let (expires, stopped) = match approval {
            Approval::Pending(pending) => {
                (Some(moment(pending.deadline().wall, now)), pending.is_stopped())
            }
            Approval::Approved(_)
            | Approval::Denied(_)
            | Approval::Expired(_)
            | Approval::Withdrawn(_) => (None, false),
        };
        Self {
            id: ask.id.to_string(),
            project: ask.project_name.clone(),
            headline: headline(ask),
            status: approval.status().as_str(),
            asked: moment(ask.asked_at, now),
            expires,
            settled: approval.settled_at().map(|at| moment(at, now)),
            stopped,
            cautions: past::cautions(view),
            said: said(ask),
            rows: rows(view, now),
        }
    }
}

/// `claude-desktop asks to read production/DATABASE_URL`.
pub(in crate::web::pages) fn headline(ask: &Ask) -> String {
    let who = match (ask.asker.key, ask.asker.owner_name.as_str()) {
        (Some(_), _) => ask.asker.key_name.as_str(),
        (None, "") => "Somebody",
        (None, owner) => owner,
    };
    let what = match change::wants(ask) {
        Some(what) => what,
        None => verb(ask.operation).to_owned(),
    };
    let named: Vec<_> = ask.items.iter().take(2).map(|item| name(&item.resource)).collect();
    let more = ask.items.len().saturating_sub(named.len());
    let named = match more {
        0 => named.join(" and "),
        more => format!("{} and {more} more", named.join(", ")),
    };
    let whose = if ask.asker.key.is_some() { "asks" } else { "wants" };
    shown(&format!("{who} {whose} to {what} {named}"))
}

/// A resource, as people say it.
fn name(resource: &Resource) -> String {
    match resource {
        Resource::Secret(path) => path.to_string(),
        Resource::Tool { upstream, tool } => format!("{upstream}/{tool}"),
        Resource::Audit => "the log".to_owned(),
        Resource::Policy => "the rules".to_owned(),
    }
}

const fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::List => "list",
        Operation::Use => "use",
        Operation::Read => "read",
        Operation::Write => "write",
        Operation::Delete => "delete",
        Operation::Call => "call",
    }
}

fn rows(view: &ApprovalView, now: UnixTime) -> Vec<Row> {
    let ask = view.approval.ask();
    let changes = change::lines(ask);
    let pending = view.approval.status() == Status::Pending;
    let mut rows = vec![
        Row::new("Who asks", asker(ask)),
        Row::new("Wants", ask.items.iter().flat_map(|it| item(ask, it)).collect()),
        Row::new("For", ask.requested.map(|time| plain(span(time))).into_iter().collect()),
        arguments(ask, &changes),
        Row::new("Change", changes),
        Row::new("Needs", people::needs(view, now)),
        Row::new("May answer", past::may_answer(view)),
        Row::new("Not told", people::not_told(view)),
        Row::new("Reminded", people::reminded(&view.approval)),
        Row::new("Session", people::session(view, now)),
        Row::new("History", past::history(view, now)),
        Row::new("Decided before", past::decisions(view, now)),
        Row::new("Votes", people::votes(&view.approval, now)),
        Row::new("Approved by", people::approved_by(&view.approval)),
        Row::new("Outcome", change::outcome(&view.approval)),
        Row::new("Leases", view.leases.iter().map(|id| mono(id.to_string())).collect()),
        Row::new("Digest", vec![Line { text: ask.digest().short(), class: "digest" }]),
    ];
    if pending && let Err(why) = &view.may_vote {
        rows.push(Row::new("You", vec![plain(shown(&format!("may not answer: {why}")))]));
    }
    rows.retain(|row| !row.lines.is_empty());
    rows
}

fn asker(ask: &Ask) -> Vec<Line> {
    let asker = &ask.asker;
    if asker.key.is_none() {
        let text = match asker.owner_name.as_str() {
            "" => "Nobody known: it was found in the policy folder".to_owned(),
            person => format!("{}, a person; their own vote does not count", shown(person)),
        };
        return vec![first(text)];
    }
    let who = format!("{}, a key of {}", shown(&asker.key_name), shown(&asker.owner_name));
    let claims = &asker.claims;
    let claimed = |words: &Option<String>| match words.as_deref() {
        None | Some("") => "somewhere unknown".to_owned(),
        Some(words) => shown(words),
    };
    let client = match claims.client.as_deref() {
        None | Some("") => "Its client does not say what it is".to_owned(),
        Some(client) => format!("Its client claims to be “{}”", shown(client)),
    };
    let from = match claims.transport {
        Transport::Stdio => format!(
            "over stdio, claims to run on {} as {}",
            claimed(&claims.host),
            claimed(&claims.os_user)
        ),
        Transport::Http => format!("over HTTP from {}", claimed(&claims.address)),
    };
    vec![first(who), soft(format!("{client}; {from}"))]
}

fn item(ask: &Ask, item: &Item) -> Vec<Line> {
    let mut what = item.resource.to_string();
    if item.version != 0 {
        what.extend([", version ", &item.version.to_string()]);
    }
    if item.rule.follow_rotation {
        what.push_str(" and later ones");
    }
    let mut lines = vec![Line { text: shown(&what), class: "resource" }];
    if !item.description.is_empty() {
        lines.push(plain(shown(&item.description)));
    }
    if item.resource == Resource::Policy {
        return lines;
    }
    let rule = shown(item.rule.name.as_str());
    let terms = item.rule.lease;
    let lease = if ask.operation.is_leased() {
        let uses = match terms.uses {
            None => "any number of uses".to_owned(),
            Some(uses) => count(uses.into(), "use", "uses"),
        };
        format!(": a lease of {}, {} at most, {uses}", span(terms.default), span(terms.max))
    } else {
        String::new()
    };
    lines.push(soft(format!("Rule “{rule}”{lease}")));
    if item.takes_any_arguments() {
        lines.push(first("Good for any arguments, not only for these".to_owned()));
    }
    lines
}

/// What it is called with, unless that is shown as a change of the rules.
fn arguments(ask: &Ask, changes: &[Line]) -> Row {
    let as_change = change::is_of_rules(ask) && !changes.is_empty();
    if matches!(ask.arguments.as_str(), "" | "{}" | "null") || as_change {
        return Row::new("Arguments", Vec::new());
    }
    let arguments = shown(&escape_json(&ask.arguments));
    let tall = arguments.len() > ARGUMENTS_TALL;
    Row { tall, ..Row::new("Arguments", vec![mono(arguments)]) }
}

fn said(ask: &Ask) -> Said {
    let by_agent = ask.asker.key.is_some();
    let reason = ask.reason.as_ref().map(vouchsafe_core::text::Reason::shown);
    let by = match (&reason, by_agent) {
        (None, true) => "The agent gave no reason.".to_owned(),
        (None, false) => String::new(),
        (Some(_), true) => "in the agent’s words, which nobody has checked".to_owned(),
        (Some(_), false) => format!("in the words of {}", shown(&ask.asker.owner_name)),
    };
    Said {
        suspicious: reason.as_ref().is_some_and(|reason| reason.suspicious),
        text: reason.map(|reason| reason.text).unwrap_or_default(),
        by,
        kind: ask.reason_kind.as_deref().map(shown).unwrap_or_default(),
    }
}

impl Row {
    const fn new(label: &'static str, lines: Vec<Line>) -> Self {
        Self { label, lines, tall: false }
    }
}

fn plain(text: String) -> Line {
    Line { text, class: "" }
}

fn first(text: String) -> Line {
    Line { text, class: "first" }
}

fn soft(text: String) -> Line {
    Line { text, class: "soft" }
}

fn mono(text: String) -> Line {
    Line { text, class: "mono" }
}

/// Text of others, with whatever hides or steers written out.
pub(in crate::web::pages) fn shown(text: &str) -> String {
    escape_untrusted(text).text
}
