//! What an operator should know of the rules: what is only observed, and what of the policy folder
//! is not in force.

use vouchsafe_core::audit::Action;
use vouchsafe_core::policy::AnyRule;
use vouchsafe_core::project::DEFAULT_PROJECT;

use super::{CheckView, Stop, policy_change};
use crate::policy_files::{Loaded, PolicyFiles};
use crate::store::Reader;

/// Rules that are named in a sentence.
const NAMED_MAX: usize = 5;

/// How the rules stand.
#[derive(Clone, Debug)]
pub(super) struct PolicyNotes {
    /// Rules that are only observed, by name; those of other projects than `default` with its name.
    pub(super) observed: Vec<String>,
    /// What such rules have let through since the log began.
    pub(super) observed_asks: u64,
    /// Why the folder is not what runs, where it is not.
    folder: Option<String>,
    /// Why changes of it are noticed late, where they are.
    unwatched: Option<String>,
}

impl PolicyNotes {
    pub(super) fn read(reader: &Reader<'_>, policy: &PolicyFiles) -> Result<Self, Stop> {
        Ok(Self {
            observed: observed(&policy.current()),
            observed_asks: reader.count_entries(Action::LEASE_OBSERVED)?,
            folder: policy_change::notice(reader, policy.seen().as_ref())?,
            unwatched: policy.why_unwatched(),
        })
    }

    /// A sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let observed = self.observed_sentence().map(|sentence| format!("{sentence}."));
        let unwatched = self.unwatched.as_ref().map(|why| {
            format!("The policy folder cannot be watched ({why}): changes are noticed late.")
        });
        [observed, self.folder.clone(), unwatched].into_iter().flatten().collect()
    }

    /// What `doctor` shows.
    pub(super) fn checks(&self) -> Vec<CheckView> {
        let check = |name: &str, fault: Option<String>, fine: &str, mend: &str| {
            let ok = fault.is_none();
            CheckView {
                name: name.to_owned(),
                ok,
                detail: fault.unwrap_or_else(|| fine.to_owned()),
                mend: if ok { String::new() } else { mend.to_owned() },
                warning: false,
            }
        };
        let unwatched = self.unwatched.as_ref().map(|why| format!("it cannot be watched: {why}"));
        vec![
            check(
                "observed rules",
                self.observed_sentence(),
                "every rule is in force",
                "Take `mode = \"observe\"` out of each rule that you have seen enough of.",
            ),
            check(
                "policy folder",
                self.folder.clone().or(unwatched),
                "it is what runs",
                "`vouchsafe policy show` says what runs; `vouchsafe policy reload` reads the folder.",
            ),
        ]
    }

    fn observed_sentence(&self) -> Option<String> {
        let count = self.observed.len();
        if count == 0 {
            return None;
        }
        let named: Vec<_> =
            self.observed.iter().take(NAMED_MAX).map(|name| format!("\"{name}\"")).collect();
        let more = count.saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let rules = if count == 1 { "rule is" } else { "rules are" };
        let ask = if count == 1 { "asks" } else { "ask" };
        let leases = if self.observed_asks == 1 { "lease was" } else { "leases were" };
        Some(format!(
            "{count} {rules} only observed and {ask} nobody: {}{more}; {} {leases} given so",
            named.join(", "),
            self.observed_asks
        ))
    }
}

fn observed(loaded: &Loaded) -> Vec<String> {
    let observed = loaded.rules().filter_map(|(project, placed)| match &placed.rule {
        AnyRule::Allow(rule) if rule.is_observed() => Some((project, &rule.name)),
        AnyRule::Allow(_) | AnyRule::Deny(_) => None,
    });
    let named = |(project, name): (&str, &vouchsafe_core::policy::RuleName)| {
        if project == DEFAULT_PROJECT { name.to_string() } else { format!("{name} ({project})") }
    };
    observed.map(named).collect()
}
