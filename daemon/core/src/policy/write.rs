//! Writing a rule as a policy file has it.

use std::time::Duration;

use super::conditions::Conditions;
use super::directory::ApproverRef;
use super::parse::Options;
use super::quorum::Quorum;
use super::rule::{Asks, Bind, Mode, Rule};
use crate::resource::{Kind, Operations};
use crate::route::ChannelName;
use crate::time::format_duration;

/// What of a rule is written otherwise than it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anew<'a> {
    /// It is called so.
    pub(super) name: &'a str,
    /// It is for this.
    pub(super) resource: &'a str,
    /// It approves by itself where this key wants to do one of these.
    pub(super) approves: Option<(&'a str, Operations)>,
}

/// A whole `[[rule]]`, which reads back as the same rule but for what is anew. What `options` say of
/// every rule is not written into this one.
pub(super) fn rule(rule: &Rule, anew: &Anew<'_>, options: &Options) -> String {
    let mut out = Lines(String::from("[[rule]]\n"));
    out.line("name", &text(anew.name));
    out.line("resource", &text(anew.resource));
    out.line("operations", &operations(rule.operations));
    match &rule.asks {
        Asks::Nobody => out.line("approval", "\"none\""),
        Asks::Level(_) => out.line("approval", "\"level\""),
        Asks::People(_) => {}
    }
    let mut factors = String::new();
    if let Some(quorum) = rule.quorum() {
        factors = asking(&mut out, rule, quorum, options);
    }
    reasons(&mut out, rule);
    let lease = &rule.lease;
    let uses = lease.uses.map(|uses| format!(", uses = {uses}")).unwrap_or_default();
    let (default, max) = (span(lease.default), span(lease.max));
    out.line("lease", &format!("{{ default = {default}, max = {max}{uses} }}"));
    if rule.bind == Bind::Tool && rule.resource.kind() != Kind::Secrets {
        out.line("bind", "\"tool\"");
    }
    if rule.follow_rotation {
        out.line("follow_rotation", "true");
    }
    // Tables come last: what follows one belongs to it.
    out.0.push_str(&factors);
    match (anew.approves, &rule.auto_approve) {
        (Some((key, wanted)), _) => {
            out.0.push_str(&approving(std::iter::once(key), wanted));
        }
        (None, Some(given)) => conditions(&mut out, given),
        (None, None) => {}
    }
    out.0
}

/// `[rule.auto_approve]` for some keys and operations.
pub(super) fn approving<'a>(keys: impl Iterator<Item = &'a str>, wanted: Operations) -> String {
    format!("\n[rule.auto_approve]\n{}", conditions_of(keys, wanted))
}

/// What stands in it.
pub(super) fn conditions_of<'a>(keys: impl Iterator<Item = &'a str>, wanted: Operations) -> String {
    let mut out = Lines(String::new());
    out.line("requester", &texts(keys));
    out.line("operations", &operations(wanted));
    out.0
}

struct Lines(String);

impl Lines {
    fn line(&mut self, key: &str, value: &str) {
        self.0.extend([key, " = ", value, "\n"]);
    }
}

/// Whom it asks and for how long. The factors, where there are several, are tables for the end.
fn asking(out: &mut Lines, rule: &Rule, quorum: &Quorum, options: &Options) -> String {
    let mut tables = String::new();
    match quorum.factors.as_slice() {
        [only] => {
            out.line("approvers", &people(&only.from));
            if only.count != super::defaults::QUORUM {
                out.line("quorum", &only.count.to_string());
            }
        }
        several => {
            for factor in several {
                let (from, count) = (people(&factor.from), factor.count);
                let table = format!("\n[[rule.factor]]\nfrom = {from}\ncount = {count}\n");
                tables.push_str(&table);
            }
        }
    }
    if quorum.self_approval && !options.self_approval_everywhere {
        out.line("self_approval", "true");
    }
    if rule.mode == Mode::Observe {
        out.line("mode", "\"observe\"");
    }
    out.line("pending_for", &span(rule.pending_for));
    if let Some(escalation) = &rule.escalation {
        out.line("escalate_after", &span(escalation.after));
        out.line("escalate_to", &people(&escalation.to));
    }
    if let Some(every) = rule.remind_every {
        out.line("remind_every", &span(every));
    }
    if rule.remember {
        out.line("remember", "true");
    }
    if !rule.notify.is_empty() {
        out.line("notify", &texts(rule.notify.iter().map(ChannelName::as_str)));
    }
    if !rule.break_glass.is_empty() {
        out.line("break_glass", &people(&rule.break_glass));
    }
    tables
}

fn reasons(out: &mut Lines, rule: &Rule) {
    if rule.require_reason {
        out.line("require_reason", "true");
        out.line("min_reason_length", &rule.min_reason_length.max(1).to_string());
        if let Some(pattern) = &rule.reason_pattern {
            out.line("reason_pattern", &text(pattern.regex.as_str()));
            out.line("reason_hint", &text(&pattern.hint));
        }
    }
    if !rule.reason_kinds.is_empty() {
        out.line("reason_kinds", &texts(rule.reason_kinds.iter().map(String::as_str)));
    }
}

fn conditions(out: &mut Lines, given: &Conditions) {
    out.0.push_str("\n[rule.auto_approve]\n");
    for (key, written) in given.written() {
        match (key, given.operations) {
            ("operations", Some(wanted)) => out.line(key, &operations(wanted)),
            (_, _) => out.line(key, &text(&written)),
        }
    }
}

fn operations(all: Operations) -> String {
    texts(all.iter().map(crate::resource::Operation::as_str))
}

fn people(who: &[ApproverRef]) -> String {
    let who: Vec<_> = who.iter().map(ToString::to_string).collect();
    texts(who.iter().map(String::as_str))
}

fn texts<'a>(all: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", all.map(text).collect::<Vec<_>>().join(", "))
}

fn span(duration: Duration) -> String {
    text(&format_duration(duration))
}

/// A text as TOML has it: JSON's escapes are its own, and DEL is written out besides.
pub(super) fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
