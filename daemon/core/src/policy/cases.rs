//! Cases that stand beside rules, in `*.cases.toml`: an ask, and what the rules must say to it.

use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::directory::ApproverRef;
use super::quorum::Quorum;
use super::read;
use super::rule::Rule;
use super::set::{RuleSet, Verdict};
use super::source::{
    Fields, PolicyFile, Problem, Reported, Source, Value, Wrong, echo, truth, wrong,
};
use crate::resource::{Operation, Resource};
use crate::time::{format_duration, parse_duration};

/// The most cases in a file.
pub const CASES_MAX: usize = 2_000;

const KEYS: [&str; 14] = [
    "name",
    "resource",
    "operation",
    "key",
    "expect",
    "rule",
    "approvers",
    "quorum",
    "require_reason",
    "min_reason_length",
    "lease_default",
    "lease_max",
    "uses",
    "pending_for",
];

/// An ask, and what is expected of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    /// The file's name.
    pub file: String,
    /// The line of its `[[case]]`, from 1.
    pub line: u32,
    /// What the case shows.
    pub name: String,
    /// What is asked for.
    pub resource: Resource,
    /// What is to be done to it.
    pub operation: Operation,
    /// The name of the asking key. No rule of this version looks at it.
    pub key: Option<String>,
    expected: Vec<(Fact, String)>,
}

/// How a case went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaseResult {
    /// The file's name.
    pub file: String,
    /// The line of its `[[case]]`, from 1.
    pub line: u32,
    /// What the case shows.
    pub name: String,
    /// Whether the rules say what is expected.
    pub passed: bool,
    /// What is expected: `ask, rule Production secrets, quorum 1`.
    pub expected: String,
    /// What the rules say, about the same.
    pub got: String,
}

/// Something that a case can expect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fact {
    Decision,
    Rule,
    Approvers,
    Quorum,
    RequireReason,
    MinReasonLength,
    LeaseDefault,
    LeaseMax,
    Uses,
    PendingFor,
}

/// Reads the cases of one file, or says everything that is wrong with them.
pub fn parse_cases(file: &PolicyFile) -> Result<Vec<Case>, Vec<Problem>> {
    let mut source = Source::new(file);
    let mut cases = Vec::new();
    if !source.refuse_large(&file.text)
        && let Some(root) = source.parse(&file.text)
    {
        for value in source.tables(root.get_ref(), "case") {
            cases.extend(case(&mut source, value));
        }
    }
    if cases.len() > CASES_MAX {
        source.refuse_many(cases.len(), CASES_MAX);
    }
    source.problems.sort();
    if source.problems.is_empty() { Ok(cases) } else { Err(source.problems) }
}

/// Asks the rules about each case.
pub fn run_cases(rules: &RuleSet, cases: &[Case]) -> Vec<CaseResult> {
    cases.iter().map(|case| case.run(rules)).collect()
}

impl Case {
    fn run(&self, rules: &RuleSet) -> CaseResult {
        let verdict = rules.decide(&self.resource, self.operation);
        let got: Vec<_> =
            self.expected.iter().map(|(fact, _)| (*fact, fact.of(&verdict))).collect();
        CaseResult {
            file: self.file.clone(),
            line: self.line,
            name: self.name.clone(),
            passed: got == self.expected,
            expected: told(&self.expected),
            got: told(&got),
        }
    }
}

impl Fact {
    /// What the verdict says about this.
    fn of(self, verdict: &Verdict<'_>) -> String {
        let ruled = match verdict {
            Verdict::Ruled(rule) => Some(*rule),
            Verdict::Refused(_) => None,
        };
        let quorum = ruled.and_then(Rule::quorum);
        match self {
            Self::Decision => match (ruled, quorum) {
                (None, _) => "refuse".to_owned(),
                (Some(_), None) => "allow".to_owned(),
                (Some(_), Some(_)) => "ask".to_owned(),
            },
            Self::Rule => or_none(verdict.decided_by()),
            Self::Approvers => or_none(quorum.map(|quorum| joined(&quorum.approvers()))),
            Self::Quorum => or_none(quorum.map(Quorum::people)),
            Self::RequireReason => or_none(ruled.map(|rule| rule.require_reason)),
            Self::MinReasonLength => or_none(ruled.map(|rule| rule.min_reason_length)),
            Self::LeaseDefault => or_none(ruled.map(|rule| format_duration(rule.lease.default))),
            Self::LeaseMax => or_none(ruled.map(|rule| format_duration(rule.lease.max))),
            Self::Uses => or_none(ruled.and_then(|rule| rule.lease.uses)),
            Self::PendingFor => or_none(ruled.map(|rule| format_duration(rule.pending_for))),
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Decision => "expect",
            Self::Rule => "rule",
            Self::Approvers => "approvers",
            Self::Quorum => "quorum",
            Self::RequireReason => "require_reason",
            Self::MinReasonLength => "min_reason_length",
            Self::LeaseDefault => "lease_default",
            Self::LeaseMax => "lease_max",
            Self::Uses => "uses",
            Self::PendingFor => "pending_for",
        }
    }
}

fn case<'t>(source: &mut Source<'_>, value: &'t Spanned<DeValue<'t>>) -> Option<Case> {
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
    let key = fields.read("key", text);
    let decision = needed(&mut fields, "expect", "ask", decision);
    let rest = expected(&mut fields);
    let (file, line) = (fields.file().to_owned(), fields.line);
    let mut expected = vec![(Fact::Decision, decision.ok()?)];
    expected.extend(rest.ok()?);
    Some(Case {
        file,
        line,
        name: name.ok()?,
        resource: resource.ok()?,
        operation: operation.ok()?,
        key: key.ok()?,
        expected,
    })
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
    let mut read = |fact: Fact, read: fn(Value<'_, '_>) -> Result<String, Wrong>| {
        fields.read(fact.key(), read).map(|given| given.map(|given| (fact, given)))
    };
    let facts = [
        read(Fact::Rule, text),
        approvers.map(|given| given.map(|given| (Fact::Approvers, given))),
        read(Fact::Quorum, number),
        read(Fact::RequireReason, |value| truth(value).map(|truth| truth.to_string())),
        read(Fact::MinReasonLength, number),
        read(Fact::LeaseDefault, duration),
        read(Fact::LeaseMax, duration),
        read(Fact::Uses, number),
        read(Fact::PendingFor, duration),
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
        decision @ ("ask" | "allow" | "refuse") => Ok(decision.to_owned()),
        other => {
            let message = format!("`expect` is `{}`", echo(other));
            Err(wrong(message, "write \"ask\", \"allow\" or \"refuse\""))
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

fn joined(approvers: &[&ApproverRef]) -> String {
    approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn or_none(fact: Option<impl fmt::Display>) -> String {
    fact.map_or_else(|| "none".to_owned(), |fact| fact.to_string())
}

fn told(facts: &[(Fact, String)]) -> String {
    let tell = |(fact, is): &(Fact, String)| match fact {
        Fact::Decision => is.clone(),
        Fact::Rule
        | Fact::Approvers
        | Fact::Quorum
        | Fact::RequireReason
        | Fact::MinReasonLength
        | Fact::LeaseDefault
        | Fact::LeaseMax
        | Fact::Uses
        | Fact::PendingFor => format!("{} {is}", fact.key()),
    };
    facts.iter().map(tell).collect::<Vec<_>>().join(", ")
}
