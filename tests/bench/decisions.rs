//! Decisions of the core alone: a large set of rules, a tenth of them with a CEL condition.
#![expect(clippy::unwrap_used, reason = "rules that do not read are a mistake of the bench")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vouchsafe_core::key::{CallTraits, Level};
use vouchsafe_core::policy::{
    Circumstances, Considered, Directory, Member, Options, PolicyFile, RuleSet, parse,
};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::Reason;
use vouchsafe_core::time::UnixTime;

use crate::table::{Measured, Target};

const RULES: usize = 1_000;
/// How many rules there are to one with a condition.
const ONE_IN: usize = 10;
const RULES_A_FILE: usize = 100;
/// What one decision may take.
const MICROSECONDS_MAX: f64 = 50.0;
/// Asks that are decided between two looks at the clock.
const AT_ONCE: usize = 100;

/// A set of rules and what is asked of it.
#[derive(Debug)]
pub(crate) struct Decisions {
    rules: RuleSet,
    /// With the number of the rule that governs it.
    asked: Vec<(usize, Resource)>,
    reason: Reason,
    arguments: Value,
}

impl Decisions {
    pub(crate) fn new() -> Self {
        let ann = Member {
            name: "ann".to_owned(),
            enabled: true,
            approves: true,
            groups: vec!["oncall".to_owned()],
        };
        let files: Vec<_> = (0..RULES / RULES_A_FILE).map(file).collect();
        let people = Directory { members: vec![ann] };
        Self {
            rules: parse(&files, &people, &Options::default()).unwrap(),
            asked: (0..RULES).map(|number| (number, asked(number))).collect(),
            reason: Reason::parse("INC-1042: the replica lags behind").unwrap(),
            arguments: json!({}),
        }
    }

    /// Decides asks of every rule in turn, and then of those with a condition alone.
    pub(crate) fn measure(&self, span: Duration) -> [(String, Measured); 2] {
        let all: Vec<_> = self.asked.iter().collect();
        let judged: Vec<_> = self.asked.iter().step_by(ONE_IN).collect();
        [(every(), self.decide(&all, span)), (judged_only(), self.decide(&judged, span))]
    }

    pub(crate) fn targets() -> [Target; 2] {
        [every(), judged_only()].map(|name| Target { name, microseconds_max: MICROSECONDS_MAX })
    }

    fn decide(&self, of: &[&(usize, Resource)], span: Duration) -> Measured {
        let begun = Instant::now();
        let mut took = Vec::new();
        let mut next = of.iter().cycle();
        while begun.elapsed() < span {
            let before = Instant::now();
            for (number, resource) in next.by_ref().take(AT_ONCE) {
                let (decision, expected) = (self.one(resource), expected(*number));
                assert_eq!(black_box(decision), expected, "rule {number}");
            }
            let each = before.elapsed() / u32::try_from(AT_ONCE).unwrap();
            took.extend(std::iter::repeat_n(each, AT_ONCE));
        }
        Measured { took, over: begun.elapsed() }
    }

    fn one(&self, resource: &Resource) -> &'static str {
        let circumstances = Circumstances {
            key: "claude-desktop",
            owner: "ann",
            level: Level::Balanced,
            resource,
            operation: Operation::Read,
            call: CallTraits::UNKNOWN,
            reason: Some(&self.reason),
            reason_kind: None,
            arguments: &self.arguments,
            now: UnixTime::from_ms(1_795_257_840_000),
        };
        let considered: Considered<'_> = self.rules.consider(&circumstances);
        considered.decision()
    }
}

fn every() -> String {
    format!("decisions by {RULES} rules")
}

fn judged_only() -> String {
    format!("decisions by one of {} conditions", RULES / ONE_IN)
}

/// Every other condition holds, the rest of the rules ask somebody.
fn expected(number: usize) -> &'static str {
    if number.is_multiple_of(2 * ONE_IN) { "approves" } else { "asks" }
}

fn asked(number: usize) -> Resource {
    let path = if number.is_multiple_of(3) { "any/depth/KEY" } else { "KEY" };
    format!("vouchsafe://secrets/team-{number}/{path}").parse().unwrap()
}

fn file(number: usize) -> PolicyFile {
    let mut text = String::new();
    for number in number * RULES_A_FILE..(number + 1) * RULES_A_FILE {
        let pattern = if number.is_multiple_of(3) { "**" } else { "*" };
        write!(
            text,
            "[[rule]]\nname = \"Team {number}\"\n\
             resource = \"vouchsafe://secrets/team-{number}/{pattern}\"\n\
             approvers = [\"group:oncall\"]\nrequire_reason = true\nmin_reason_length = 10\n"
        )
        .unwrap();
        if number.is_multiple_of(ONE_IN) {
            let ticket = if number.is_multiple_of(2 * ONE_IN) { "INC-" } else { "CHG-" };
            write!(
                text,
                "[rule.auto_approve]\ndays = \"Mon-Sun\"\nrequester = [\"claude-*\"]\n\
                 when = 'ask.reason.startsWith(\"{ticket}\") && ask.operation == \"read\" && \
                 key.level != \"auto\" && size(ask.reason) < 500'\n"
            )
            .unwrap();
        }
        text.push('\n');
    }
    PolicyFile { name: format!("teams-{number}.toml"), text }
}
