//! Cases that stand beside rules, in `*.cases.toml`: an ask, and what the rules must say to it.

mod facts;
mod read;

use serde_json::Value as Json;

use self::facts::{Fact, told};
use super::consider::Considered;
use super::judge::Circumstances;
use super::set::RuleSet;
use super::source::{PolicyFile, Problem, Source};
use crate::key::{CallTraits, Level};
use crate::resource::{Operation, Resource};
use crate::text::Reason;
use crate::time::UnixTime;

/// The most cases in a file.
pub const CASES_MAX: usize = 2_000;

/// When a case asks that does not say so: a Thursday at noon, UTC.
const AT: UnixTime = UnixTime::from_ms(1_767_268_800_000);
/// Which key asks where a case names none, and who answers for it.
const KEY: &str = "agent";
const OWNER: &str = "owner";

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
    /// The name of the asking key; where there is none, `agent`.
    pub key: Option<String>,
    /// The key's level; `balanced` where the case does not say.
    pub level: Level,
    /// Who answers for the key; where there is none, `owner`.
    pub owner: Option<String>,
    /// Why, in the agent's words.
    pub reason: Option<Reason>,
    /// Which kind of reason.
    pub reason_kind: Option<String>,
    /// When; where there is none, 2026-01-01T12:00:00Z.
    pub at: Option<UnixTime>,
    /// The arguments of a call; an empty object where there are none.
    pub arguments: Json,
    /// What the tool says of its calls.
    pub call: CallTraits,
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

/// Reads the cases of one file, or says everything that is wrong with them.
pub fn parse_cases(file: &PolicyFile) -> Result<Vec<Case>, Vec<Problem>> {
    let mut source = Source::new(file);
    let mut cases = Vec::new();
    if !source.refuse_large(&file.text)
        && let Some(root) = source.parse(&file.text)
    {
        for value in source.tables(root.get_ref(), "case") {
            cases.extend(read::case(&mut source, value));
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
    /// What the rules have to look at.
    pub fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            key: self.key.as_deref().unwrap_or(KEY),
            owner: self.owner.as_deref().unwrap_or(OWNER),
            level: self.level,
            resource: &self.resource,
            operation: self.operation,
            call: self.call,
            reason: self.reason.as_ref(),
            reason_kind: self.reason_kind.as_deref(),
            arguments: &self.arguments,
            now: self.at.unwrap_or(AT),
        }
    }

    /// What is expected, by its key in the file: `expect` first.
    pub fn expected(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.expected.iter().map(|(fact, is)| (fact.key(), is.as_str()))
    }

    /// What the rules make of it. A case that says nothing of reasons is not about them: the
    /// reason is taken to do.
    fn considered<'s>(&self, rules: &'s RuleSet) -> Considered<'s> {
        let ask = self.circumstances();
        let of_reasons = self.reason.is_some()
            || self.reason_kind.is_some()
            || self
                .expected()
                .any(|expected| expected.1 == "reason" || expected.0 == "reason_lacks");
        match rules.consider(&ask) {
            Considered::ReasonLacks { rule, .. } if !of_reasons => Considered::judged(rule, &ask),
            Considered::Observed { rule, judgment, lacks: Some(_) } if !of_reasons => {
                Considered::Observed { rule, judgment, lacks: None }
            }
            considered => considered,
        }
    }

    fn run(&self, rules: &RuleSet) -> CaseResult {
        let verdict = rules.decide(&self.resource, self.operation);
        let considered = self.considered(rules);
        let got: Vec<_> =
            self.expected.iter().map(|(fact, _)| (*fact, fact.of(&verdict, &considered))).collect();
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
