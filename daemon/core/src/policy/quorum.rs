//! How many people must say yes, and of what kinds.

use serde::{Deserialize, Serialize};

use super::directory::{ApproverRef, Directory, eligible};

/// Whom a rule asks: every factor must be filled, and a person fills one place in all of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Form")]
pub struct Quorum {
    /// The kinds of people asked; never empty.
    pub factors: Vec<Factor>,
    /// Whether the owner of the asking key counts as well.
    pub self_approval: bool,
}

/// Some people, and how many of them must say yes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Factor {
    /// Any of these; sorted, each once.
    pub from: Vec<ApproverRef>,
    /// How many different people; 1 or more.
    pub count: u32,
}

/// The forms in which a quorum was ever stored.
#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    factors: Vec<Factor>,
    #[serde(default)]
    approvers: Vec<ApproverRef>,
    #[serde(default)]
    count: u32,
    #[serde(default)]
    self_approval: bool,
}

impl From<Form> for Quorum {
    fn from(form: Form) -> Self {
        let Form { mut factors, approvers, count, self_approval } = form;
        if factors.is_empty() {
            factors.push(Factor { from: approvers, count });
        }
        Self { factors, self_approval }
    }
}

impl Quorum {
    /// Some of one kind of people.
    pub fn of(from: Vec<ApproverRef>, count: u32) -> Self {
        Self { factors: vec![Factor { from, count }], self_approval: false }
    }

    /// How many different people it takes.
    pub fn people(&self) -> u32 {
        self.factors.iter().map(|factor| factor.count.max(1)).fold(0, u32::saturating_add)
    }

    /// Everybody it names, each once.
    pub fn approvers(&self) -> Vec<&ApproverRef> {
        let mut all: Vec<_> = self.factors.iter().flat_map(|factor| &factor.from).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether it names this person, who is in good standing.
    pub fn names(&self, name: &str, people: &Directory) -> bool {
        self.factors.iter().any(|factor| eligible(&factor.from, people).contains(name))
    }

    /// How many places of each factor these people fill, each of them one place, at best.
    ///
    /// `also` may fill any place: they are asked as well after an escalation.
    pub fn filled(&self, voters: &[&str], also: &[ApproverRef], people: &Directory) -> Vec<u32> {
        let also = eligible(also, people);
        let may: Vec<Vec<bool>> = self
            .factors
            .iter()
            .map(|factor| {
                let from = eligible(&factor.from, people);
                voters.iter().map(|name| from.contains(*name) || also.contains(*name)).collect()
            })
            .collect();
        let mut places = Places {
            may: &may,
            counts: self
                .factors
                .iter()
                .map(|factor| usize::try_from(factor.count.max(1)).unwrap_or(usize::MAX))
                .collect(),
            taken: vec![Vec::new(); self.factors.len()],
        };
        let mut seen = Vec::new();
        for (voter, name) in voters.iter().enumerate() {
            // Nobody counts twice, however often they are among the voters.
            if !seen.contains(name) {
                seen.push(*name);
                places.seat(voter, &mut vec![false; self.factors.len()]);
            }
        }
        places.taken.iter().map(|taken| u32::try_from(taken.len()).unwrap_or(u32::MAX)).collect()
    }

    /// Whether these people are enough.
    pub fn is_met(&self, voters: &[&str], also: &[ApproverRef], people: &Directory) -> bool {
        let filled = self.filled(voters, also, people);
        !filled.is_empty()
            && self.factors.iter().zip(filled).all(|(factor, met)| met >= factor.count.max(1))
    }
}

/// Who sits where: a maximum bipartite matching of people and places, found by augmenting paths
/// (Kuhn, 1955).
struct Places<'a> {
    /// By factor, then by voter.
    may: &'a [Vec<bool>],
    counts: Vec<usize>,
    /// The voters in each factor.
    taken: Vec<Vec<usize>>,
}

impl Places<'_> {
    /// Finds a place for one more voter, moving others where that helps.
    fn seat(&mut self, voter: usize, tried: &mut [bool]) -> bool {
        for factor in 0..self.taken.len() {
            let may = self.may.get(factor).and_then(|may| may.get(voter)) == Some(&true);
            let Some(tried_here) = tried.get_mut(factor) else { continue };
            if !may || *tried_here {
                continue;
            }
            *tried_here = true;
            if self.has_room(factor) {
                self.put(factor, voter);
                return true;
            }
            let sitting = self.taken.get(factor).cloned().unwrap_or_default();
            for (place, other) in sitting.into_iter().enumerate() {
                if self.seat(other, tried) {
                    if let Some(taken) =
                        self.taken.get_mut(factor).and_then(|taken| taken.get_mut(place))
                    {
                        *taken = voter;
                    }
                    return true;
                }
            }
        }
        false
    }

    fn has_room(&self, factor: usize) -> bool {
        match (self.taken.get(factor), self.counts.get(factor)) {
            (Some(taken), Some(count)) => taken.len() < *count,
            (None, _) | (_, None) => false,
        }
    }

    fn put(&mut self, factor: usize, voter: usize) {
        if let Some(taken) = self.taken.get_mut(factor) {
            taken.push(voter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Member;

    fn people() -> Directory {
        let member = |name: &str, groups: &[&str]| Member {
            name: name.to_owned(),
            enabled: true,
            approves: true,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        Directory {
            members: vec![
                member("ann", &["security", "oncall"]),
                member("bob", &["oncall"]),
                member("cid", &["security"]),
                member("dan", &[]),
            ],
        }
    }

    fn factor(group: &str, count: u32) -> Factor {
        Factor { from: vec![ApproverRef::Group(group.to_owned())], count }
    }

    fn both() -> Quorum {
        Quorum { factors: vec![factor("security", 1), factor("oncall", 1)], self_approval: false }
    }

    #[test]
    fn one_person_fills_one_place_of_all_factors() {
        assert!(!both().is_met(&["ann"], &[], &people()));
        assert!(!both().is_met(&["ann", "ann"], &[], &people()));
    }

    #[test]
    fn whoever_could_fill_two_places_is_put_where_it_helps() {
        // Ann came first and could be either; each of the others can be one of them only.
        for voters in [["ann", "bob"], ["bob", "ann"], ["ann", "cid"], ["cid", "ann"]] {
            assert!(both().is_met(&voters, &[], &people()), "{voters:?}");
        }
        assert!(!both().is_met(&["bob", "dan"], &[], &people()));
    }

    #[test]
    fn whoever_is_asked_as_well_fills_any_place_but_only_one() {
        let dan = [ApproverRef::User("dan".to_owned())];
        assert!(both().is_met(&["bob", "dan"], &dan, &people()));
        assert!(both().is_met(&["cid", "dan"], &dan, &people()));
        assert!(!both().is_met(&["dan"], &dan, &people()));
    }

    #[test]
    fn a_quorum_as_it_used_to_be_stored_still_reads() {
        let old = r#"{"approvers":["group:oncall"],"count":2,"self_approval":true}"#;
        let quorum: Quorum = serde_json::from_str(old).unwrap();
        assert_eq!(quorum.factors, [factor("oncall", 2)]);
        assert!(quorum.self_approval);
    }

    #[test]
    fn a_quorum_of_nothing_is_never_met() {
        let nobody = Quorum { factors: Vec::new(), self_approval: true };
        assert!(!nobody.is_met(&["ann"], &[], &people()));
    }
}
