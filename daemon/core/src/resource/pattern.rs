//! Patterns that resources are matched with.
//!
//! A pattern is a resource in which whole segments may be `*` (one segment) or `**` (any number of
//! them; at the end at least one, so that `secrets/production/**` is what lies below `production`).
//! Matching is globset's. What two patterns have in common is worked out here, over the same
//! reading of the wildcards and up to the longest path a resource can have, so that the answer is
//! exact.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobBuilder};

use super::{ECHO_CHARS_MAX, Fault, Kind, Resource, SCHEME, Segment, segment, split_kind};
use crate::text;

/// The most segments a pattern has after its kind: enough for a `**` between any two.
const PARTS_MAX: usize = 17;

/// Which resources a rule is for.
#[derive(Clone, Eq, PartialEq)]
pub struct Pattern {
    kind: Kind,
    parts: Vec<Part>,
}

/// How close a pattern comes to naming one resource; the greater is the more specific. More
/// literal segments first, then fewer `**`, then fewer `*`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Specificity {
    literals: usize,
    any: Reverse<usize>,
    one: Reverse<usize>,
}

/// A text that is no pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a pattern: {fault}", text::echo(.text, ECHO_CHARS_MAX))]
pub struct PatternError {
    text: String,
    fault: PatternFault,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
enum PatternFault {
    #[error(transparent)]
    Resource(#[from] Fault),
    #[error(
        "the kind is written out: vouchsafe://secrets/**, vouchsafe://tools/** or vouchsafe://audit"
    )]
    Kind,
    #[error(
        "`{}` mixes a wildcard with other characters; `*` stands for one whole part between two /, \
         `**` for any number of parts, and there are no other wildcards",
        text::echo(.0, ECHO_CHARS_MAX)
    )]
    Mixed(String),
    #[error("one ** is enough: it already stands for any number of parts")]
    Doubled,
    #[error("no path is this long: a secret's has 8 parts at most")]
    Long,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(Segment),
    /// `*`
    One,
    /// `**`
    Any,
}

impl Pattern {
    /// The kind of resource that it can match.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How specific it is.
    pub fn specificity(&self) -> Specificity {
        let count = |wanted: fn(&Part) -> bool| self.parts.iter().filter(|p| wanted(p)).count();
        Specificity {
            literals: count(|part| matches!(part, Part::Literal(_))),
            any: Reverse(count(|part| matches!(part, Part::Any))),
            one: Reverse(count(|part| matches!(part, Part::One))),
        }
    }

    /// The rules themselves. No file can say it: who may change them is the configuration's to say.
    pub(crate) const fn policy() -> Self {
        Self { kind: Kind::Policy, parts: Vec::new() }
    }

    /// Whether some resource matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.kind != other.kind || self.apart(other) {
            return false;
        }
        let (mine, theirs) = (self.states(), other.states());
        let (least, most) = self.kind.lengths();
        let mut at = closed(&mine, &theirs, BTreeSet::from([(0, 0)]));
        for length in 0..=most {
            if length >= least && at.contains(&(mine.len(), theirs.len())) {
                return true;
            }
            let next = at.iter().filter_map(|&(i, j)| step_both(&mine, &theirs, i, j)).collect();
            at = closed(&mine, &theirs, next);
        }
        false
    }

    /// Whether every resource that matches `other` matches this one too.
    pub fn covers(&self, other: &Self) -> bool {
        if self.kind != other.kind || self.apart(other) || self.names_more(other) {
            return false;
        }
        let (mine, theirs) = (self.states(), other.states());
        let letters = letters(&mine, &theirs);
        let (least, most) = self.kind.lengths();
        // Pairs of where the two can be after the same segments: a path that `other` takes and this
        // one does not is a counterexample.
        let start = (close(&theirs, BTreeSet::from([0])), close(&mine, BTreeSet::from([0])));
        let mut at = BTreeSet::from([start]);
        for length in 0..=most {
            let escapes =
                |(b, a): &(States, States)| b.contains(&theirs.len()) && !a.contains(&mine.len());
            if length >= least && at.iter().any(escapes) {
                return false;
            }
            at = at
                .iter()
                .flat_map(|pair| letters.iter().map(move |letter| (pair, *letter)))
                .map(|((b, a), letter)| (step(&theirs, b, letter), step(&mine, a, letter)))
                .filter(|(b, _)| !b.is_empty())
                .collect();
        }
        true
    }

    /// A cheap answer that precedes [`Self::covers`]: `false` where this pattern cannot both be the
    /// more specific and cover the other, since each of its literals must then be one of the
    /// other's.
    pub(crate) fn may_outrank_and_cover(&self, other: &Self) -> bool {
        let (own, others) = (self.specificity(), other.specificity());
        own.literals == others.literals && own > others
    }

    /// The same for globset, which matches it against a resource's path.
    pub(crate) fn glob(&self) -> Glob {
        #[expect(
            clippy::expect_used,
            reason = "segments and whole-segment wildcards always compile"
        )]
        GlobBuilder::new(&self.path())
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .expect("a checked pattern is a glob")
    }

    /// Whether the resource matches. For one question; a rule set keeps its globs compiled.
    pub fn matches(&self, resource: &Resource) -> bool {
        self.glob().compile_matcher().is_match(resource.glob_path())
    }

    fn path(&self) -> String {
        self.parts.iter().fold(self.kind.to_string(), |path, part| format!("{path}/{part}"))
    }

    /// A quick no: two literals in the same place, from the front or from the back, that differ.
    fn apart(&self, other: &Self) -> bool {
        let differ = |(a, b): (&Part, &Part)| match (a, b) {
            (Part::Literal(a), Part::Literal(b)) => a != b,
            (Part::Literal(_) | Part::One | Part::Any, _) => false,
        };
        let fixed = |(a, b): &(&Part, &Part)| **a != Part::Any && **b != Part::Any;
        let front = self.parts.iter().zip(&other.parts);
        let back = self.parts.iter().rev().zip(other.parts.iter().rev());
        front.take_while(fixed).any(differ) || back.take_while(fixed).any(differ)
    }

    /// A quick no: a literal that the other has not, so that some path of the other is without it.
    fn names_more(&self, other: &Self) -> bool {
        let literal = |part: &&Part| matches!(part, Part::Literal(_));
        self.parts.iter().filter(literal).any(|part| !other.parts.contains(part))
    }

    /// The parts with a last `**` as one part and any number more, so that `Any` may be nothing
    /// wherever it is left.
    fn states(&self) -> Vec<Part> {
        let mut parts = self.parts.clone();
        if parts.last() == Some(&Part::Any) {
            parts.insert(parts.len() - 1, Part::One);
        }
        parts
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|fault| PatternError { text: text.to_owned(), fault })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.path())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&Resource> for Pattern {
    /// The pattern that matches this resource alone.
    fn from(resource: &Resource) -> Self {
        let path = resource.glob_path();
        let literal = |part: &str| Part::Literal(Segment(part.to_owned()));
        Self { kind: resource.kind(), parts: path.split('/').skip(1).map(literal).collect() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(segment) => f.write_str(segment.as_str()),
            Self::One => f.write_str("*"),
            Self::Any => f.write_str("**"),
        }
    }
}

fn parse(text: &str) -> Result<Pattern, PatternFault> {
    let (kind, rest) = split_kind(text).map_err(|fault| {
        let wild = fault == Fault::Kind && text.contains('*');
        if wild { PatternFault::Kind } else { fault.into() }
    })?;
    let parts = match rest {
        Some(rest) => rest.split('/').map(part).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    if parts.windows(2).any(|pair| pair == [Part::Any, Part::Any]) {
        return Err(PatternFault::Doubled);
    }
    let pattern = Pattern { kind, parts };
    let (least, most) = kind.lengths();
    let fixed = pattern.states().iter().filter(|part| **part != Part::Any).count();
    let open = pattern.parts.contains(&Part::Any);
    match kind {
        Kind::Secrets if fixed > most || pattern.parts.len() > PARTS_MAX => Err(PatternFault::Long),
        Kind::Secrets if fixed < least && !open => Err(Fault::Segments.into()),
        Kind::Tools if fixed > most || (fixed < least && !open) => Err(Fault::Tool.into()),
        Kind::Audit if !pattern.parts.is_empty() => Err(Fault::Audit.into()),
        Kind::Policy => Err(Fault::Policy.into()),
        Kind::Secrets | Kind::Tools | Kind::Audit => Ok(pattern),
    }
}

fn part(text: &str) -> Result<Part, PatternFault> {
    match text {
        "*" => Ok(Part::One),
        "**" => Ok(Part::Any),
        _ if text.contains(['*', '?', '[', ']', '{', '}', '!', '\\']) => {
            Err(PatternFault::Mixed(text.to_owned()))
        }
        _ => Ok(Part::Literal(segment(text)?)),
    }
}

/// Where a pattern can be after some segments: before these of its parts, or past the last.
type States = BTreeSet<usize>;

/// Adds what is reached by letting a `**` be nothing.
fn close(parts: &[Part], states: States) -> States {
    let mut all = states;
    for (i, part) in parts.iter().enumerate() {
        if *part == Part::Any && all.contains(&i) {
            all.insert(i + 1);
        }
    }
    all
}

/// Where it can be after one more segment; `None` is a segment that no pattern in question names.
fn step(parts: &[Part], states: &States, letter: Option<&Segment>) -> States {
    let next = states.iter().filter_map(|&i| match parts.get(i)? {
        Part::Literal(segment) => (letter == Some(segment)).then_some(i + 1),
        Part::One => Some(i + 1),
        Part::Any => Some(i),
    });
    close(parts, next.collect())
}

/// The segments that make a difference to the two, and one that makes none.
fn letters<'p>(mine: &'p [Part], theirs: &'p [Part]) -> BTreeSet<Option<&'p Segment>> {
    let named = mine.iter().chain(theirs).filter_map(|part| match part {
        Part::Literal(segment) => Some(Some(segment)),
        Part::One | Part::Any => None,
    });
    named.chain([None]).collect()
}

/// [`close`] for two patterns that walk over the same path.
fn closed(
    mine: &[Part],
    theirs: &[Part],
    pairs: BTreeSet<(usize, usize)>,
) -> BTreeSet<(usize, usize)> {
    let pairs = pairs.into_iter().flat_map(|(i, j)| {
        let (a, b) = (close(mine, States::from([i])), close(theirs, States::from([j])));
        a.into_iter().flat_map(move |i| b.clone().into_iter().map(move |j| (i, j)))
    });
    pairs.collect()
}

/// Where both can be after one more segment that suits both.
fn step_both(mine: &[Part], theirs: &[Part], i: usize, j: usize) -> Option<(usize, usize)> {
    let (a, b) = (mine.get(i)?, theirs.get(j)?);
    if let (Part::Literal(a), Part::Literal(b)) = (a, b)
        && a != b
    {
        return None;
    }
    let next = |part: &Part, at: usize| if *part == Part::Any { at } else { at + 1 };
    Some((next(a, i), next(b, j)))
}
