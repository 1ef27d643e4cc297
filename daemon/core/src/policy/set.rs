//! All rules together, and the one place where they decide.

use std::cmp::Reverse;
use std::fmt;

use data_encoding::HEXLOWER;
use globset::{GlobSet, GlobSetBuilder};

use super::rule::{Denial, Rule, RuleDigest, RuleName, sha256_of_canonical};
use crate::resource::{Operation, Operations, Pattern, Resource};

/// Every rule of a project, checked against each other. Without any, everything is refused.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Denials first, then the most specific, then by name: what stands earlier is named first,
    /// and the order of files and rules makes no difference.
    rules: Vec<Placed>,
    /// The patterns of each [`GLOBS_TOGETHER`] rules.
    globs: Vec<GlobSet>,
    digest: RuleSetDigest,
}

/// A rule and where it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The file's name below the policy folder.
    pub file: String,
    /// The line of its `[[rule]]`, from 1.
    pub line: u32,
    /// The rule.
    pub rule: AnyRule,
}

/// A rule of either effect.
#[expect(clippy::large_enum_variant, reason = "most rules allow, and there are 2,000 at most")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnyRule {
    /// `effect = "allow"`, which is so where nothing is said.
    Allow(Rule),
    /// `effect = "deny"`.
    Deny(Denial),
}

/// SHA-256 over all rules' names and meanings.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct RuleSetDigest([u8; 32]);

/// What the rules say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict<'s> {
    /// No.
    Refused(Refusal<'s>),
    /// As this rule says. It covers the operation.
    Ruled(&'s Rule),
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal<'s> {
    /// No rule is for this resource.
    NoRule,
    /// A rule denies it.
    Denied {
        /// That rule.
        rule: &'s Denial,
    },
    /// The rule for this resource does not cover the operation.
    OperationNotCovered {
        /// That rule.
        rule: &'s Rule,
    },
}

/// What the rules say, and how each rule that matches bears on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation<'s> {
    /// What [`RuleSet::decide`] says.
    pub verdict: Verdict<'s>,
    /// Every rule that is for the resource, whichever decided.
    pub matches: Vec<Match<'s>>,
}

/// A rule that is for the resource asked about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match<'s> {
    /// The rule and where it is written.
    pub placed: &'s Placed,
    /// Whether it decided.
    pub wins: bool,
    /// Why it decided, or did not.
    pub why: String,
}

/// How many patterns are matched in one go. Two thousand in one go were measured to take seconds,
/// once, where many of them begin with a wildcard; in portions it is microseconds.
const GLOBS_TOGETHER: usize = 64;

impl RuleSet {
    /// Puts rules together that have been checked against each other.
    pub(crate) fn new(mut rules: Vec<Placed>) -> Result<Self, globset::Error> {
        rules.sort_by(|a, b| a.rule.rank().cmp(&b.rule.rank()));
        let globs = rules.chunks(GLOBS_TOGETHER).map(glob_set).collect::<Result<_, _>>()?;
        let digest = RuleSetDigest::of(&rules);
        Ok(Self { rules, globs, digest })
    }

    /// No rules: everything is refused.
    pub fn empty() -> Self {
        Self { rules: Vec::new(), globs: Vec::new(), digest: RuleSetDigest::of(&[]) }
    }

    /// What the rules say about an operation on a resource.
    pub fn decide(&self, resource: &Resource, operation: Operation) -> Verdict<'_> {
        settle(self.matching(resource), operation)
    }

    /// What the rules say, and why.
    pub fn explain(&self, resource: &Resource, operation: Operation) -> Explanation<'_> {
        let verdict = settle(self.matching(resource), operation);
        let explain = |placed| Match {
            placed,
            wins: verdict.is_by(&placed.rule),
            why: why(placed, &verdict, operation),
        };
        Explanation { verdict, matches: self.matching(resource).map(explain).collect() }
    }

    /// Every rule, denials first, then the most specific.
    pub fn rules(&self) -> &[Placed] {
        &self.rules
    }

    /// The rule of that name.
    pub fn rule(&self, name: &str) -> Option<&Placed> {
        self.rules.iter().find(|placed| placed.rule.name().as_str() == name)
    }

    /// The digest of all of it.
    pub const fn digest(&self) -> RuleSetDigest {
        self.digest
    }

    /// The rules that are for a resource, in the set's order.
    fn matching(&self, resource: &Resource) -> impl Iterator<Item = &Placed> {
        let path = resource.glob_path();
        let rules = self.rules.chunks(GLOBS_TOGETHER).zip(&self.globs);
        rules.flat_map(move |(rules, globs)| {
            globs.matches(&path).into_iter().filter_map(|index| rules.get(index))
        })
    }
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl AnyRule {
    /// What people call it.
    pub const fn name(&self) -> &RuleName {
        match self {
            Self::Allow(rule) => &rule.name,
            Self::Deny(denial) => &denial.name,
        }
    }

    /// Which resources it is for.
    pub const fn resource(&self) -> &Pattern {
        match self {
            Self::Allow(rule) => &rule.resource,
            Self::Deny(denial) => &denial.resource,
        }
    }

    /// What it covers, or refuses.
    pub const fn operations(&self) -> Operations {
        match self {
            Self::Allow(rule) => rule.operations,
            Self::Deny(denial) => denial.operations,
        }
    }

    /// The digest of what it means.
    pub fn digest(&self) -> RuleDigest {
        match self {
            Self::Allow(rule) => rule.digest(),
            Self::Deny(denial) => denial.digest(),
        }
    }

    fn rank(&self) -> impl Ord {
        let specificity = Reverse(self.resource().specificity());
        (matches!(self, Self::Allow(_)), specificity, self.name().clone())
    }
}

impl Verdict<'_> {
    /// The rule that decided; none where none is for the resource.
    pub const fn decided_by(&self) -> Option<&RuleName> {
        match self {
            Self::Ruled(rule) | Self::Refused(Refusal::OperationNotCovered { rule }) => {
                Some(&rule.name)
            }
            Self::Refused(Refusal::Denied { rule }) => Some(&rule.name),
            Self::Refused(Refusal::NoRule) => None,
        }
    }

    /// Names are unique in a set.
    fn is_by(&self, rule: &AnyRule) -> bool {
        self.decided_by() == Some(rule.name())
    }
}

impl fmt::Display for Verdict<'_> {
    /// A sentence without its beginning and its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Ruled(rule) if rule.quorum().is_some() => {
                write!(f, "the rule `{}` asks for approval", rule.name)
            }
            Self::Ruled(rule) => write!(f, "the rule `{}` allows it", rule.name),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule is for this resource"),
            Self::Denied { rule } => write!(f, "the rule `{}` denies it", rule.name),
            Self::OperationNotCovered { rule } => {
                write!(f, "the rule `{}` covers only {}", rule.name, rule.operations)
            }
        }
    }
}

impl RuleSetDigest {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(rules: &[Placed]) -> Self {
        let pair =
            |placed: &Placed| (placed.rule.name().to_string(), placed.rule.digest().to_string());
        let mut pairs: Vec<_> = rules.iter().map(pair).collect();
        pairs.sort();
        Self(sha256_of_canonical(&serde_json::json!({ "v": 1, "rules": pairs })))
    }
}

impl fmt::Display for RuleSetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for RuleSetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Decides between the rules that are for a resource, in the set's order.
///
/// A denial of the operation wins. Else the most specific pattern wins, and several of them that
/// are equally specific cover different operations: loading saw to that.
fn settle<'s>(matching: impl Iterator<Item = &'s Placed>, operation: Operation) -> Verdict<'s> {
    let mut most_specific: Option<&Rule> = None;
    for placed in matching {
        match &placed.rule {
            AnyRule::Deny(rule) if rule.operations.contains(operation) => {
                return Verdict::Refused(Refusal::Denied { rule });
            }
            AnyRule::Deny(_) => {}
            AnyRule::Allow(rule) => {
                let first = *most_specific.get_or_insert(rule);
                if first.resource.specificity() != rule.resource.specificity() {
                    break;
                }
                if rule.operations.contains(operation) {
                    return Verdict::Ruled(rule);
                }
            }
        }
    }
    Verdict::Refused(match most_specific {
        Some(rule) => Refusal::OperationNotCovered { rule },
        None => Refusal::NoRule,
    })
}

fn glob_set(rules: &[Placed]) -> Result<GlobSet, globset::Error> {
    let mut globs = GlobSetBuilder::new();
    for placed in rules {
        globs.add(placed.rule.resource().glob());
    }
    globs.build()
}

fn why(placed: &Placed, verdict: &Verdict<'_>, operation: Operation) -> String {
    let covers = placed.rule.operations();
    let rule = match &placed.rule {
        AnyRule::Deny(denial) if !covers.contains(operation) => {
            return format!("it denies only {covers}");
        }
        AnyRule::Deny(_) if verdict.is_by(&placed.rule) => {
            return "it denies this, and a denial wins over everything else that matches"
                .to_owned();
        }
        AnyRule::Deny(_) => return "it denies this too".to_owned(),
        AnyRule::Allow(rule) => rule,
    };
    let winner = match verdict {
        Verdict::Refused(Refusal::NoRule) => return String::new(),
        Verdict::Refused(Refusal::Denied { rule }) => {
            return format!("the rule `{}` denies this", rule.name);
        }
        Verdict::Refused(Refusal::OperationNotCovered { rule }) | Verdict::Ruled(rule) => rule,
    };
    if rule.resource.specificity() < winner.resource.specificity() {
        format!("the rule `{}` is more specific", winner.name)
    } else if !covers.contains(operation) {
        format!("no pattern that matches is more specific, but it covers only {covers}")
    } else {
        "no pattern that matches is more specific".to_owned()
    }
}
