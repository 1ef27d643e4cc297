//! The scope picker without screen and keyboard: keys in, at most one outcome out.

mod screen;

use std::collections::BTreeSet;

use vouchsafe_core::key::{Scope, Scopes};

pub(super) use self::screen::pick;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    Toggle,
    Accept,
    Cancel,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// These scopes, in their usual order; never none.
    Accepted(Vec<String>),
    Cancelled,
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// `mcp:read`: every scope that only reads.
    ReadOnly,
    /// `mcp:full`: everything but raw values.
    Full,
    One(Scope),
}

/// How much of a choice is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    All,
    /// Of a bundle.
    Some,
    None,
}

/// What is chosen so far. Read-only is chosen at the beginning.
#[derive(Debug)]
struct Picker {
    position: usize,
    chosen: BTreeSet<Scope>,
    /// The last thing worth saying.
    notice: &'static str,
}

impl Default for Picker {
    fn default() -> Self {
        Self { position: 0, chosen: Scopes::read_only().iter().collect(), notice: "" }
    }
}

impl Choice {
    const BUNDLES: [Self; 2] = [Self::ReadOnly, Self::Full];

    /// The bundles, then every scope.
    fn all() -> Vec<Self> {
        Self::BUNDLES.into_iter().chain(Scope::ALL.into_iter().map(Self::One)).collect()
    }

    /// As `--scopes` takes it.
    fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "mcp:read",
            Self::Full => "mcp:full",
            Self::One(scope) => scope.as_str(),
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::ReadOnly => "all that only reads",
            Self::Full => "all but raw values",
            Self::One(Scope::SecretsRead) => "see names, use values unseen",
            Self::One(Scope::SecretsReveal) => "read raw values",
            Self::One(Scope::SecretsWrite) => "propose new values",
            Self::One(Scope::SecretsDelete) => "propose deletions",
            Self::One(Scope::ToolsRead) => "call tools that only read",
            Self::One(Scope::ToolsWrite) => "call tools that change things",
            Self::One(Scope::ToolsDestructive) => "call tools that destroy things",
            Self::One(Scope::AuditRead) => "query the log",
        }
    }

    fn scopes(self) -> BTreeSet<Scope> {
        match self {
            Self::ReadOnly => Scopes::read_only().iter().collect(),
            Self::Full => Scopes::full().iter().collect(),
            Self::One(scope) => BTreeSet::from([scope]),
        }
    }
}

impl Picker {
    fn position(&self) -> usize {
        self.position
    }

    /// The one under the cursor.
    fn choice(&self) -> Option<Choice> {
        Choice::all().get(self.position).copied()
    }

    fn mark(&self, choice: Choice) -> Mark {
        let scopes = choice.scopes();
        if scopes.is_subset(&self.chosen) {
            Mark::All
        } else if scopes.is_disjoint(&self.chosen) {
            Mark::None
        } else {
            Mark::Some
        }
    }

    /// What to think about before accepting; empty: nothing.
    fn warning(&self) -> &'static str {
        let reveals = self.chosen.contains(&Scope::SecretsReveal);
        let destroys = self.chosen.contains(&Scope::ToolsDestructive);
        match (reveals, destroys) {
            (true, true) => "WARNING: raw values reach the agent, and it may call what destroys",
            (true, false) => "WARNING: raw values reach the agent",
            (false, true) => "WARNING: the agent may call what destroys",
            (false, false) => "",
        }
    }

    fn key(&mut self, key: Key) -> Option<Outcome> {
        self.notice = "";
        let last = Choice::all().len().saturating_sub(1);
        match key {
            Key::Up => self.position = self.position.saturating_sub(1),
            Key::Down => self.position = self.position.saturating_add(1).min(last),
            Key::Toggle => self.toggle(),
            Key::Accept if self.chosen.is_empty() => {
                self.notice = "a key may do at least one thing";
            }
            Key::Accept => {
                let words = self.chosen.iter().map(|scope| scope.as_str().to_owned());
                return Some(Outcome::Accepted(words.collect()));
            }
            Key::Cancel => return Some(Outcome::Cancelled),
        }
        None
    }

    fn toggle(&mut self) {
        let Some(choice) = self.choice() else {
            return;
        };
        match self.mark(choice) {
            Mark::All => {
                let scopes = choice.scopes();
                self.chosen.retain(|scope| !scopes.contains(scope));
            }
            Mark::Some | Mark::None => self.chosen.extend(choice.scopes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After these keys: `j`, `k`, space, `\n` and escape.
    fn picked(picker: &mut Picker, keys: &str) -> Option<Outcome> {
        let mut outcome = None;
        for key in keys.chars() {
            let key = match key {
                'k' => Key::Up,
                'j' => Key::Down,
                ' ' => Key::Toggle,
                '\n' => Key::Accept,
                _ => Key::Cancel,
            };
            outcome = picker.key(key);
        }
        outcome
    }

    fn accepted(keys: &str) -> String {
        match picked(&mut Picker::default(), &format!("{keys}\n")) {
            Some(Outcome::Accepted(scopes)) => scopes.join(","),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn enter_alone_makes_a_key_that_only_reads() {
        assert_eq!(accepted(""), "secrets:read,tools:read,audit:read");
    }

    #[test]
    fn a_bundle_is_all_of_its_scopes_at_once() {
        let full = "secrets:read,secrets:write,secrets:delete,tools:read,tools:write,\
                    tools:destructive,audit:read";
        assert_eq!(accepted("j "), full);
        assert_eq!(accepted("j j "), full.replace("secrets:read,", ""));
        // Off again, and read-only is gone with it.
        let mut picker = Picker::default();
        assert_eq!(picked(&mut picker, "j  \n"), None);
        assert_eq!(picker.notice, "a key may do at least one thing");
        assert_eq!(
            picked(&mut picker, "k \n"),
            Some(Outcome::Accepted(vec![
                "secrets:read".to_owned(),
                "tools:read".to_owned(),
                "audit:read".to_owned(),
            ]))
        );
    }

    #[test]
    fn a_bundle_of_which_some_is_chosen_says_so() {
        let mut picker = Picker::default();
        let marks = |picker: &Picker| Choice::BUNDLES.map(|bundle| picker.mark(bundle));
        assert_eq!(marks(&picker), [Mark::All, Mark::Some]);
        picked(&mut picker, "jj ");
        assert_eq!(marks(&picker), [Mark::Some, Mark::Some]);
        picked(&mut picker, "kk  ");
        assert_eq!(marks(&picker), [Mark::None, Mark::None]);
    }

    #[test]
    fn what_can_do_harm_is_warned_of() {
        let mut picker = Picker::default();
        assert_eq!(picker.warning(), "");
        picked(&mut picker, "jjj ");
        assert!(picker.warning().contains("raw values"));
        picked(&mut picker, "jjjjj ");
        assert!(picker.warning().contains("raw values") && picker.warning().contains("destroys"));
        picked(&mut picker, "kkkkk ");
        assert_eq!(picker.warning(), "WARNING: the agent may call what destroys");
    }

    #[test]
    fn the_cursor_stays_in_the_list_and_escape_chooses_nothing() {
        let mut picker = Picker::default();
        assert_eq!(picked(&mut picker, "kkk"), None);
        assert_eq!(picker.position(), 0);
        picked(&mut picker, &"j".repeat(40));
        assert_eq!(picker.position(), 9);
        assert_eq!(picked(&mut picker, "x"), Some(Outcome::Cancelled));
    }

    #[test]
    fn every_word_is_one_that_the_daemon_knows() {
        for choice in Choice::all() {
            let known: BTreeSet<Scope> = Scopes::parse([choice.name()]).unwrap().iter().collect();
            assert_eq!(known, choice.scopes(), "{}", choice.name());
        }
    }
}
