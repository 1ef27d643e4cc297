//! Rules for what people always approve, made from how they have answered.
//!
//! A suggestion takes nothing from anybody but the one question: it is the rule that governs the
//! resource now, for that resource alone, and it approves by itself where this key asks to do this.
//! Everybody else is asked as before. Nothing is suggested
//!
//! - where anybody denied it, or left it out of what they approved, in the time looked at;
//! - for a deletion, which cannot be foreseen to be right, and for a call that is approved with its
//!   arguments;
//! - where the rule asks for more than one person, or says already when nobody is asked: whoever
//!   wrote that has thought about it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::parse::Options;
use super::rule::{Bind, Mode, Rule, RuleName};
use super::set::{RuleSet, Verdict};
use super::write::{self, Anew};
use crate::approval::{Approval, Ask, Ballot, How, Vote};
use crate::id::KeyId;
use crate::resource::{Operation, Operations, Pattern, Resource};
use crate::text::escape_untrusted;
use crate::time::UnixTime;

/// How long a line of a comment grows, in characters.
const LINE_CHARS: usize = 90;
/// The longest name of a rule, in characters.
const NAME_CHARS_MAX: usize = 80;

/// What a key asked for again and again, and people approved each time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Habit {
    /// The key.
    pub key: KeyId,
    /// Its name.
    pub key_name: String,
    /// What it asked for.
    pub resource: Resource,
    /// To do what.
    pub operation: Operation,
    /// How often people approved it.
    pub asks: u32,
    /// When it first asked, in the time looked at.
    pub first_at: UnixTime,
    /// When it last asked.
    pub last_at: UnixTime,
    /// Who approved, by name, each once.
    pub approved_by: Vec<String>,
}

/// Finds habits, approval by approval.
#[derive(Debug, Default)]
pub struct Habits(BTreeMap<(KeyId, Resource, Operation), Answers>);

#[derive(Debug)]
struct Answers {
    key_name: String,
    asks: u32,
    refused: bool,
    first_at: UnixTime,
    last_at: UnixTime,
    by: BTreeSet<String>,
}

/// A suggestion for a [`Habit`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// What the rule is called, or the one that would have to be changed.
    pub name: String,
    /// Whole rules, with comments that say what they stand on; or, where [`Offer::adds`] is not so,
    /// comments alone.
    pub toml: String,
    /// Whether it can be put beside the rules in force as it is.
    pub adds: bool,
}

impl Habits {
    /// Takes an approval into account. Where no people decided it, it says nothing.
    pub fn add(&mut self, approval: &Approval) {
        match approval {
            Approval::Approved(approved) if approved.how == How::People => {
                for (index, _) in approved.ask.items.iter().enumerate() {
                    let granted = approved.granted.iter().any(|granted| granted.item == index);
                    self.answered(&approved.ask, index, granted, &approved.votes);
                }
            }
            Approval::Denied(denied) => {
                for (index, _) in denied.ask.items.iter().enumerate() {
                    self.answered(&denied.ask, index, false, &denied.votes);
                }
            }
            Approval::Approved(_)
            | Approval::Pending(_)
            | Approval::Expired(_)
            | Approval::Withdrawn(_) => {}
        }
    }

    /// What was approved so often at least and never refused, the most frequent first.
    pub fn often(self, min: u32) -> Vec<Habit> {
        let often = self
            .0
            .into_iter()
            .filter(|(_, answers)| !answers.refused && answers.asks >= min.max(1));
        let habit = |((key, resource, operation), answers): (_, Answers)| Habit {
            key,
            key_name: answers.key_name,
            resource,
            operation,
            asks: answers.asks,
            first_at: answers.first_at,
            last_at: answers.last_at,
            approved_by: answers.by.into_iter().collect(),
        };
        let mut habits: Vec<_> = often.map(habit).collect();
        habits.sort_by_key(|habit| Reverse(habit.asks));
        habits
    }

    fn answered(&mut self, ask: &Ask, index: usize, granted: bool, votes: &[Vote]) {
        let (Some(key), Some(item)) = (ask.asker.key, ask.items.get(index)) else { return };
        let at = ask.asked_at;
        let of = (key, item.resource.clone(), ask.operation);
        let answers = self.0.entry(of).or_insert_with(|| Answers {
            key_name: ask.asker.key_name.clone(),
            asks: 0,
            refused: false,
            first_at: at,
            last_at: at,
            by: BTreeSet::new(),
        });
        if !granted {
            answers.refused = true;
            return;
        }
        answers.asks = answers.asks.saturating_add(1);
        answers.first_at = answers.first_at.min(at);
        answers.last_at = answers.last_at.max(at);
        let approving = votes.iter().filter(|vote| matches!(vote.ballot, Ballot::Approve(_)));
        answers.by.extend(approving.map(|vote| vote.voter_name.clone()));
    }
}

/// What to put beside the rules in force for these habits, the first ones first; nothing for those
/// that no rule should be made for.
///
/// Each one can be put in force by itself. Of several about one resource only the first is a rule:
/// two would be equally specific, so that the others say how to widen it.
pub fn suggest(set: &RuleSet, habits: Vec<Habit>, options: &Options) -> Vec<(Habit, Offer)> {
    let mut offered: BTreeMap<Resource, Widened> = BTreeMap::new();
    let mut names = Names { set, taken: BTreeSet::new() };
    let mut offers = Vec::new();
    let all: BTreeSet<_> = habits.iter().map(Habit::what).collect();
    for habit in habits {
        let Some(rule) = governing(set, &habit) else { continue };
        let Ok(exact) = habit.resource.to_string().parse::<Pattern>() else { continue };
        let offer = if let Some(widened) = offered.get_mut(&habit.resource) {
            widened.by(&habit, &all)
        } else {
            let offer = if rule.resource.specificity() == exact.specificity() {
                to_be_added(rule, &habit)
            } else {
                beside(&mut names, rule, &habit, options)
            };
            offered.insert(habit.resource.clone(), Widened::new(&offer.name, &habit));
            offer
        };
        offers.push((habit, offer));
    }
    offers
}

impl Habit {
    fn what(&self) -> (String, Resource, Operation) {
        (self.key_name.clone(), self.resource.clone(), self.operation)
    }

    /// What it stands on, in words.
    fn grounds(&self) -> String {
        let day = |at: UnixTime| at.rfc3339().chars().take(10).collect::<String>();
        let who: Vec<_> = self.approved_by.iter().map(|who| escape_untrusted(who).text).collect();
        let times = if self.asks == 1 { "once".to_owned() } else { format!("{} times", self.asks) };
        format!(
            "{} asked {times} to {} {} ({} to {}), and it was approved each time, by {}.",
            self.key_name,
            self.operation,
            self.resource,
            day(self.first_at),
            day(self.last_at),
            who.join(", "),
        )
    }
}

/// The rule that governs it, where that may be made to ask less.
fn governing<'s>(set: &'s RuleSet, habit: &Habit) -> Option<&'s Rule> {
    let Verdict::Ruled(rule) = set.decide(&habit.resource, habit.operation) else { return None };
    let one_person = rule.quorum()?.people() == 1;
    let foreseen = match habit.operation {
        Operation::Delete => false,
        Operation::Call => rule.bind == Bind::Tool,
        Operation::List | Operation::Use | Operation::Read | Operation::Write => true,
    };
    let open = rule.mode == Mode::Enforce && rule.auto_approve.is_none();
    (one_person && foreseen && open).then_some(rule)
}

/// A rule for the resource alone. Where other rules govern other operations on it, so that they
/// would be refused beside the new rule, these are written out for it as well.
fn beside(names: &mut Names<'_>, rule: &Rule, habit: &Habit, options: &Options) -> Offer {
    let resource = habit.resource.to_string();
    let wanted = Operations::of(&[habit.operation]);
    let name = names.free(&named(habit));
    let mut toml = comment(&habit.grounds());
    toml.push_str(&comment(&format!(
        "The rule {} asks people for it. This one says the same for this alone, and does not ask \
         where {} wants to {} it.",
        write::text(rule.name.as_str()),
        habit.key_name,
        habit.operation,
    )));
    let approves = Some((habit.key_name.as_str(), wanted));
    let anew = Anew { name: name.as_str(), resource: &resource, approves };
    toml.push_str(&write::rule(rule, &anew, options));
    let mut others: Vec<&Rule> = Vec::new();
    for operation in habit.resource.kind().operations().iter() {
        if let Verdict::Ruled(other) = names.set.decide(&habit.resource, operation)
            && other.name != rule.name
            && !others.iter().any(|known| known.name == other.name)
        {
            others.push(other);
        }
    }
    for other in others {
        let name = names.free(&shortened(&format!("{} ({})", other.name, tail(&resource))));
        toml.push('\n');
        toml.push_str(&comment(&format!(
            "What {} says, for this too: beside the rule above it would not count any more.",
            write::text(other.name.as_str()),
        )));
        let anew = Anew { name: name.as_str(), resource: &resource, approves: None };
        toml.push_str(&write::rule(other, &anew, options));
    }
    Offer { name: name.to_string(), toml, adds: true }
}

/// What to add to a rule that is for the resource alone already.
fn to_be_added(rule: &Rule, habit: &Habit) -> Offer {
    let keys = std::iter::once(habit.key_name.as_str());
    let table = write::approving(keys, Operations::of(&[habit.operation]));
    let mut toml = comment(&habit.grounds());
    toml.push_str(&comment(&format!(
        "The rule {} is for this alone; a second one would be just as specific. To ask nobody, add \
         to that rule:",
        write::text(rule.name.as_str()),
    )));
    toml.push_str(&quoted(table.trim_start()));
    Offer { name: rule.name.to_string(), toml, adds: false }
}

/// How far the first suggestion for a resource has been widened by those after it.
#[derive(Debug)]
struct Widened {
    rule: String,
    keys: Vec<String>,
    operations: Operations,
}

/// Names that no rule has yet.
#[derive(Debug)]
struct Names<'s> {
    set: &'s RuleSet,
    taken: BTreeSet<String>,
}

impl Names<'_> {
    /// That name, numbered where it is taken.
    fn free(&mut self, name: &str) -> RuleName {
        let numbered = (2..=u32::MAX).map(|number| format!("{name} ({number})"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let is_free = |name: &String| self.set.rule(name).is_none() && !self.taken.contains(name);
        let free = names.find(is_free).unwrap_or_default();
        self.taken.insert(free.clone());
        // Names of keys, operations and paths have nothing in them that a rule's name may not have.
        free.parse().unwrap_or_else(|_| RuleName::suggested())
    }
}

impl Widened {
    fn new(rule: &str, habit: &Habit) -> Self {
        Self {
            rule: rule.to_owned(),
            keys: vec![habit.key_name.clone()],
            operations: Operations::of(&[habit.operation]),
        }
    }

    /// Widens it by one more, where it then approves nothing but what was always approved.
    fn by(&mut self, habit: &Habit, all: &BTreeSet<(String, Resource, Operation)>) -> Offer {
        let mut keys = self.keys.clone();
        if !keys.contains(&habit.key_name) {
            keys.push(habit.key_name.clone());
        }
        let operations = self.operations.union(Operations::of(&[habit.operation]));
        let mut together =
            keys.iter().flat_map(|key| operations.iter().map(move |operation| (key, operation)));
        let always = together.all(|(key, operation)| {
            all.contains(&(key.clone(), habit.resource.clone(), operation))
        });
        let rule = write::text(&self.rule);
        let mut toml = comment(&habit.grounds());
        if always {
            (self.keys, self.operations) = (keys, operations);
            let table = write::conditions_of(self.keys.iter().map(String::as_str), self.operations);
            toml.push_str(&comment(&format!(
                "Once {rule} is in force, write in its `auto_approve`:"
            )));
            toml.push_str(&quoted(&table));
        } else {
            toml.push_str(&comment(&format!(
                "{rule}, which is suggested too, cannot say both without letting each of these \
                 keys do more than was approved.",
            )));
        }
        Offer { name: self.rule.clone(), toml, adds: false }
    }
}

fn named(habit: &Habit) -> String {
    let resource = habit.resource.to_string();
    shortened(&format!("{} may {} {}", habit.key_name, habit.operation, tail(&resource)))
}

/// A resource without its scheme and kind, where something is left then.
fn tail(resource: &str) -> &str {
    let path = resource.strip_prefix(crate::resource::SCHEME).unwrap_or(resource);
    path.split_once('/').map_or(path, |(_, rest)| rest)
}

/// A name for a rule, the beginning of a text that is too long. Room is left to number it.
fn shortened(name: &str) -> String {
    let most = NAME_CHARS_MAX - 6;
    name.chars().take(most).collect::<String>().trim_end().to_owned()
}

/// Lines to be copied, as lines of a comment.
fn quoted(lines: &str) -> String {
    lines.lines().flat_map(|line| ["#   ", line, "\n"]).collect()
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() >= LINE_CHARS && line.len() > 1 {
            lines.extend([line.as_str(), "\n"]);
            line = String::from("#");
        }
        line.extend([" ", word]);
    }
    lines.extend([line.as_str(), "\n"]);
    lines
}
