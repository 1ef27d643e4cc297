//! What is wrong with rules only together.

use std::collections::HashMap;

use super::rule::{Denial, Rule, RuleName};
use super::set::{AnyRule, Placed};
use super::source::Problem;
use crate::resource::Operations;

/// Reports names given twice, rules that nothing decides between, and rules that can never match.
///
/// The rules come in the order of their files and lines, and the later of two is the one at fault.
pub(super) fn clashes(rules: &[Placed]) -> Vec<Problem> {
    let mut problems = names_given_twice(rules);
    let denials: Vec<_> = rules.iter().filter_map(|placed| placed.denial()).collect();
    let allowing: Vec<_> = rules.iter().filter_map(|placed| placed.allowing()).collect();
    for (index, (placed, rule)) in allowing.iter().enumerate() {
        problems.extend(denied_throughout(placed, rule, &denials));
        let earlier = allowing.iter().take(index);
        problems.extend(undecided(placed, rule, earlier.copied()));
        problems.extend(never_first(placed, rule, &allowing));
    }
    problems
}

impl Placed {
    fn denial(&self) -> Option<(&Self, &Denial)> {
        match &self.rule {
            AnyRule::Deny(denial) => Some((self, denial)),
            AnyRule::Allow(_) => None,
        }
    }

    fn allowing(&self) -> Option<(&Self, &Rule)> {
        match &self.rule {
            AnyRule::Allow(rule) => Some((self, rule)),
            AnyRule::Deny(_) => None,
        }
    }

    /// How the rule is named in a message.
    fn cited(&self) -> String {
        format!("`{}` ({}:{})", self.rule.name(), self.file, self.line)
    }

    fn problem(&self, message: String, mend: &str) -> Problem {
        Problem { file: self.file.clone(), line: self.line, message, mend: mend.to_owned() }
    }
}

fn names_given_twice(rules: &[Placed]) -> Vec<Problem> {
    let mut first: HashMap<&RuleName, &Placed> = HashMap::new();
    let mut problems = Vec::new();
    for placed in rules {
        let name = placed.rule.name();
        let other = *first.entry(name).or_insert(placed);
        if !std::ptr::eq(other, placed) {
            let message =
                format!("the rule at {}:{} is called `{name}` too", other.file, other.line);
            problems.push(placed.problem(message, "give one of them another name"));
        }
    }
    problems
}

/// A rule all of whose operations are denied on all of its resources.
fn denied_throughout(
    placed: &Placed,
    rule: &Rule,
    denials: &[(&Placed, &Denial)],
) -> Option<Problem> {
    let mut left = rule.operations;
    for (by, denial) in denials {
        let fewer = left.minus(denial.operations);
        if fewer != left && denial.resource.covers(&rule.resource) {
            left = fewer;
        }
        if left.is_empty() {
            let message = format!("this rule can never match: {} denies all of it", by.cited());
            return Some(placed.problem(message, "remove one of the two"));
        }
    }
    None
}

/// An earlier rule that is just as specific, for the same operation on the same resource.
fn undecided<'r>(
    placed: &Placed,
    rule: &Rule,
    mut earlier: impl Iterator<Item = (&'r Placed, &'r Rule)>,
) -> Option<Problem> {
    let shared = |other: &Rule| rule.operations.intersection(other.operations);
    let (other, both) = earlier.find_map(|(placed, other)| {
        let clash = shared(other) != Operations::NONE
            && other.resource.specificity() == rule.resource.specificity()
            && other.resource.overlaps(&rule.resource);
        clash.then(|| (placed, shared(other)))
    })?;
    let message = format!(
        "{} and {} are equally specific and both cover {both} on some resource",
        other.cited(),
        placed.cited(),
    );
    Some(placed.problem(message, "make one resource more specific, or the operations different"))
}

/// A more specific rule for every resource that this one is for.
fn never_first(placed: &Placed, rule: &Rule, allowing: &[(&Placed, &Rule)]) -> Option<Problem> {
    let (by, _) = allowing.iter().find(|(_, other)| {
        other.resource.may_outrank_and_cover(&rule.resource)
            && other.resource.covers(&rule.resource)
    })?;
    let message = format!(
        "this rule can never match: {} has fewer wildcards and is for all of its resources",
        by.cited(),
    );
    Some(placed.problem(message, "remove one of the two, or write fewer wildcards here"))
}
