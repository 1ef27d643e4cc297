//! The one rule that no file says: whom a change of the rules themselves asks.

use std::time::Duration;

use super::defaults;
use super::quorum::Quorum;
use super::rule::{Asks, Bind, LeaseTerms, Mode, Rule, RuleName};
use crate::resource::{Kind, Pattern};

/// How long a change waits for an answer.
const PENDING_FOR: Duration = Duration::from_hours(24);

impl Rule {
    /// The rule that a change of the rules is asked under; the configuration says whom it asks.
    /// Nothing is leased under it.
    pub fn for_policy_changes(quorum: Quorum) -> Self {
        Self {
            name: RuleName::policy_changes(),
            resource: Pattern::policy(),
            operations: defaults::operations(Kind::Policy),
            asks: Asks::People(quorum),
            mode: Mode::Enforce,
            auto_approve: None,
            require_reason: false,
            min_reason_length: 0,
            reason_pattern: None,
            reason_kinds: Vec::new(),
            lease: LeaseTerms { default: defaults::LEASE, max: defaults::LEASE_MAX, uses: Some(1) },
            pending_for: PENDING_FOR,
            escalation: None,
            remind_every: None,
            remember: false,
            bind: Bind::Arguments,
            follow_rotation: false,
            break_glass: Vec::new(),
            notify: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ApproverRef;
    use crate::resource::{Operation, Resource};

    #[test]
    fn it_is_for_writing_the_rules_and_reads_back_as_it_was_stored() {
        let quorum = Quorum::of(vec![ApproverRef::Group("security".to_owned())], 2);
        let rule = Rule::for_policy_changes(quorum);
        assert!(rule.resource.matches(&Resource::Policy));
        assert!(rule.operations.contains(Operation::Write));
        let stored = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&stored).unwrap(), rule);
        assert!("vouchsafe://policy".parse::<Pattern>().is_err(), "no file can say it");
    }
}
