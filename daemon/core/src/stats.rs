//! How people answer: how often yes, and how fast. What is answered in a moment was hardly read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::approval::{Approval, Ballot};

/// An answer sooner than this after the ask was given without reading it.
pub const AT_ONCE: Duration = Duration::from_secs(2);

/// Which answers are counted; what is not given does not matter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Those of this approver, by name.
    pub approver: Option<String>,
    /// Those to asks under this rule, by name.
    pub rule: Option<String>,
}

/// How one approver has answered, all in all or under one rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerStats {
    /// The approver's name.
    pub approver: String,
    /// The rule's name; none: all of them.
    pub rule: Option<String>,
    /// How many answers; one at least.
    pub answers: u32,
    /// How many of them approved.
    pub approved: u32,
    /// The median time from the ask to the answer, in whole milliseconds.
    pub median: Duration,
    /// How many came in under [`AT_ONCE`].
    pub at_once: u32,
}

/// Counts answers, approval by approval.
#[derive(Debug, Default)]
pub struct Tally {
    wanted: Wanted,
    counts: BTreeMap<(String, Option<String>), Count>,
}

#[derive(Debug, Default)]
struct Count {
    approved: u32,
    took: Vec<Duration>,
}

impl Tally {
    /// Counts these answers.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, counts: BTreeMap::new() }
    }

    /// Counts the answers to an approval. An ask under several rules counts once for each of them,
    /// and once all in all.
    pub fn add(&mut self, approval: &Approval) {
        let ask = approval.ask();
        let rules: BTreeSet<_> = ask.items.iter().map(|item| item.rule.name.as_str()).collect();
        for vote in approval.votes() {
            let yes = matches!(vote.ballot, Ballot::Approve(_));
            self.count(&vote.voter_name, &rules, yes, vote.at.since(ask.asked_at));
        }
    }

    fn count(&mut self, approver: &str, rules: &BTreeSet<&str>, yes: bool, took: Duration) {
        let is =
            |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|it| it == name);
        let under: Vec<_> = rules.iter().filter(|rule| is(&self.wanted.rule, rule)).collect();
        if under.is_empty() || !is(&self.wanted.approver, approver) {
            return;
        }
        for rule in under.into_iter().map(|rule| Some((*rule).to_owned())).chain([None]) {
            let count = self.counts.entry((approver.to_owned(), rule)).or_default();
            count.approved = count.approved.saturating_add(u32::from(yes));
            count.took.push(took);
        }
    }

    /// What came of it: whoever answered most comes first, each with all of their answers before
    /// those under each rule.
    pub fn finish(self) -> Vec<AnswerStats> {
        let counted = self.counts.into_iter();
        let mut all: Vec<_> =
            counted.map(|((approver, rule), count)| count.finish(approver, rule)).collect();
        let whole = all.iter().filter(|stats| stats.rule.is_none());
        let most: BTreeMap<String, u32> =
            whole.map(|stats| (stats.approver.clone(), stats.answers)).collect();
        let of = |stats: &AnswerStats| most.get(&stats.approver).copied().unwrap_or_default();
        // They were in the order of names, and stay so where they are equal.
        all.sort_by(|a, b| {
            of(b)
                .cmp(&of(a))
                .then_with(|| a.approver.cmp(&b.approver))
                .then_with(|| a.rule.is_some().cmp(&b.rule.is_some()))
                .then_with(|| b.answers.cmp(&a.answers))
        });
        all
    }
}

impl Count {
    fn finish(mut self, approver: String, rule: Option<String>) -> AnswerStats {
        self.took.sort_unstable();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        AnswerStats {
            approver,
            rule,
            answers: count(self.took.len()),
            approved: self.approved,
            median: median(&self.took),
            at_once: count(self.took.iter().filter(|took| **took < AT_ONCE).count()),
        }
    }
}

/// The middle one, or what lies between the two in the middle; zero of nothing.
fn median(sorted: &[Duration]) -> Duration {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let below = (sorted.len() / 2).checked_sub(1).and_then(|at| sorted.get(at)).copied();
    let middle = below.map_or(upper, |lower| lower.saturating_add(upper) / 2);
    Duration::from_millis(u64::try_from(middle.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(all: &[u64]) -> Vec<Duration> {
        all.iter().map(|seconds| Duration::from_secs(*seconds)).collect()
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        assert_eq!(median(&[]), Duration::ZERO);
        assert_eq!(median(&seconds(&[7])), Duration::from_secs(7));
        assert_eq!(median(&seconds(&[1, 5, 900])), Duration::from_secs(5));
        assert_eq!(median(&seconds(&[1, 4, 7, 900])), Duration::from_millis(5_500));
    }

    #[test]
    fn two_seconds_are_not_under_two_seconds() {
        let took = [0, 1_999, 2_000, 60_000].map(Duration::from_millis).to_vec();
        let stats = Count { approved: 3, took }.finish("bob".to_owned(), None);
        assert_eq!((stats.answers, stats.approved, stats.at_once), (4, 3, 2));
        assert_eq!(stats.median, Duration::from_millis(1_999));
    }

    #[test]
    fn an_answer_counts_under_each_rule_and_once_all_in_all() {
        let mut tally = Tally::default();
        let both = BTreeSet::from(["Production", "Staging"]);
        tally.count("ann", &BTreeSet::from(["Staging"]), true, Duration::from_secs(9));
        for seconds in [1, 3] {
            tally.count("bob", &both, seconds == 1, Duration::from_secs(seconds));
        }
        let told: Vec<_> = tally
            .finish()
            .into_iter()
            .map(|it| (it.approver, it.rule.unwrap_or_default(), it.answers, it.approved))
            .collect();
        let row = |name: &str, rule: &str, answers, approved| {
            (name.to_owned(), rule.to_owned(), answers, approved)
        };
        assert_eq!(
            told,
            [
                row("bob", "", 2, 1),
                row("bob", "Production", 2, 1),
                row("bob", "Staging", 2, 1),
                row("ann", "", 1, 1),
                row("ann", "Staging", 1, 1),
            ]
        );
    }

    #[test]
    fn what_is_not_wanted_is_not_counted() {
        let wanted = Wanted { approver: Some("bob".to_owned()), rule: Some("Staging".to_owned()) };
        let mut tally = Tally::new(wanted);
        let took = Duration::from_secs(1);
        tally.count("ann", &BTreeSet::from(["Staging"]), true, took);
        tally.count("bob", &BTreeSet::from(["Production"]), true, took);
        tally.count("bob", &BTreeSet::from(["Production", "Staging"]), true, took);
        let told = tally.finish();
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|it| it.approver == "bob" && it.answers == 1));
    }
}
