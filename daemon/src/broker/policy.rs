//! The rules: tried, explained, shown, and put in force.

use std::sync::Arc;

use vouchsafe_core::approval::{Approval, ExpiryCause, Pending};
use vouchsafe_core::audit::{Action, Outcome};
use vouchsafe_core::caller::User;
use vouchsafe_core::policy::{
    self, AnyRule, Directory, PolicyFile, Problem, Refusal, RuleSet, Verdict, parse_cases,
    run_cases,
};
use vouchsafe_core::resource::{Operation, Resource};

use super::asks::save_settled;
use super::doors::live_user;
use super::setup::{default_project, project_or_default};
use super::{
    Broker, Checked, Explained, ExplainedMatch, Refused, Reloaded, ShownPolicy, Stop, Tested,
    entries,
};
use crate::policy_files::{self, Folder, Loaded};
use crate::store::Tx;

/// Problems that an entry of the log names.
const PROBLEMS_LOGGED: usize = 10;

impl Broker {
    /// Reads policy files as a start would; nothing changes. Without files: the daemon's own.
    pub async fn check_policy(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
    ) -> Result<Checked, Refused> {
        let people = self.people_for(user).await?;
        Ok(match self.parse(self.folder(files), &people) {
            Ok((set, _)) => Checked {
                problems: Vec::new(),
                digest: set.digest().to_string(),
                rules: count(&set),
            },
            Err(problems) => Checked { problems, digest: String::new(), rules: 0 },
        })
    }

    /// Runs the cases among policy files against the rules among them.
    pub async fn test_policy(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
    ) -> Result<Tested, Refused> {
        let people = self.people_for(user).await?;
        let (set, cases) = match self.parse(self.folder(files), &people) {
            Ok(parsed) => parsed,
            Err(problems) => return Ok(Tested { problems, results: Vec::new() }),
        };
        let (mut problems, mut results) = (Vec::new(), Vec::new());
        for file in &cases {
            match parse_cases(file) {
                Ok(cases) => results.extend(run_cases(&set, &cases)),
                Err(wrong) => problems.extend(wrong),
            }
        }
        Ok(Tested { problems, results })
    }

    /// What the rules in force say of one ask, and why.
    pub async fn explain_policy(
        &self,
        user: &User,
        project: Option<String>,
        resource: &str,
        operation: Operation,
        key: Option<String>,
    ) -> Result<Explained, Refused> {
        let resource: Resource =
            resource.parse().map_err(|e: vouchsafe_core::resource::ResourceError| {
                Refused::invalid(
                    e.to_string(),
                    "Write it as vouchsafe://secrets/production/DATABASE_URL.",
                )
            })?;
        let user = user.clone();
        self.look("explain_policy", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, &user, project.as_deref())?;
            match key.as_deref().filter(|key| !key.is_empty()) {
                Some(key) if reader.key_named(project.id, key)?.is_none() => {
                    Err(super::keys::not_found(key).into())
                }
                _ => Ok(()),
            }
        })
        .await?;
        let loaded = self.inner.policy.current();
        Ok(explain(&loaded.set, &resource, operation))
    }

    /// The rules in force, and what was wrong with the last set that was tried.
    pub async fn show_policy(&self, user: &User) -> Result<ShownPolicy, Refused> {
        self.people_for(user).await?;
        let policy = &self.inner.policy;
        Ok(ShownPolicy { loaded: policy.current(), problems: policy.problems() })
    }

    /// Notes what was wrong with the rules at the start, for `status`, `doctor` and `policy show`.
    pub fn refuse_rules(&self, problems: Vec<Problem>) {
        self.inner.policy.refuse(problems);
    }

    /// Reads the policy folder again, for a person.
    pub async fn reload_policy(&self, user: &User) -> Result<Reloaded, Refused> {
        self.people_for(user).await?;
        self.reload(Some(user)).await
    }

    /// Reads the policy folder again. A set with a mistake is refused whole: the one before stays
    /// in force, and that is said loudly. Pending asks whose rule is not what it was expire.
    pub async fn reload(&self, user: Option<&User>) -> Result<Reloaded, Refused> {
        let people = self.look("directory", default_people).await?;
        let before = self.inner.policy.current();
        match self.parse(self.folder(Vec::new()), &people) {
            Err(problems) => self.refuse_set(user, &before, problems).await,
            Ok((set, _)) => self.put_in_force(user, &before, set).await,
        }
    }

    async fn put_in_force(
        &self,
        user: Option<&User>,
        before: &Loaded,
        set: RuleSet,
    ) -> Result<Reloaded, Refused> {
        let next = Arc::new(Loaded {
            set,
            source: self.inner.settings.policy_dir.display().to_string(),
            loaded_at: self.now().wall,
        });
        let (digest, rules) = (next.set.digest().to_string(), count(&next.set));
        let changed = next.set.digest() != before.set.digest();
        let entry = actor(Action::POLICY_LOADED, user)
            .detail("rule_set", digest.as_str())
            .detail("rules", rules)
            .detail("changed", changed);
        // What the new set refuses is refused from here on: before the transaction that ends what
        // was asked under the old one, so that no ask falls between the two.
        self.inner.policy.replace(Arc::clone(&next));
        let ended = self
            .run("policy_loaded", entry.clone(), move |tx| {
                let ended = supersede(tx, &next.set)?;
                tx.append(&entry.clone().detail("superseded", ended.len()))?;
                Ok(ended)
            })
            .await?;
        for approval in &ended {
            self.settled(approval);
        }
        tracing::info!(rule_set = %digest, rules, superseded = ended.len(), "rules are in force");
        let superseded = u32::try_from(ended.len()).unwrap_or(u32::MAX);
        Ok(Reloaded { problems: Vec::new(), digest, changed, rules, superseded })
    }

    async fn refuse_set(
        &self,
        user: Option<&User>,
        before: &Loaded,
        problems: Vec<Problem>,
    ) -> Result<Reloaded, Refused> {
        let lines: Vec<_> =
            problems.iter().take(PROBLEMS_LOGGED).map(ToString::to_string).collect();
        for line in &lines {
            tracing::error!(problem = %line, "the policy folder was refused; the rules before stay in force");
        }
        let entry = actor(Action::POLICY_REFUSED, user)
            .outcome(Outcome::Failed)
            .detail("problems", lines)
            .detail("count", problems.len());
        self.inner.policy.refuse(problems.clone());
        self.run("policy_refused", entry.clone(), move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await?;
        Ok(Reloaded {
            problems,
            digest: before.set.digest().to_string(),
            changed: false,
            rules: count(&before.set),
            superseded: 0,
        })
    }

    async fn people_for(&self, user: &User) -> Result<Directory, Refused> {
        let user = user.clone();
        self.look("directory", move |reader| {
            live_user(reader, &user)?;
            default_people(reader)
        })
        .await
    }

    fn folder(&self, files: Vec<PolicyFile>) -> Result<Folder, Problem> {
        if files.is_empty() {
            let dir = &self.inner.settings.policy_dir;
            return policy_files::read_dir(dir).map_err(|error| error.problem());
        }
        let (cases, rules) = files.into_iter().partition(|file| file.name.ends_with(".cases.toml"));
        Ok(Folder { rules, cases })
    }

    fn parse(
        &self,
        folder: Result<Folder, Problem>,
        people: &Directory,
    ) -> Result<(RuleSet, Vec<PolicyFile>), Vec<Problem>> {
        let Folder { rules, cases } = folder.map_err(|problem| vec![problem])?;
        let set = policy::parse(&rules, people, &self.inner.settings.policy_options)?;
        Ok((set, cases))
    }
}

fn default_people(reader: &crate::store::Reader<'_>) -> Result<Directory, Stop> {
    let project = default_project(reader)?;
    Ok(reader.directory(project.id)?)
}

/// Ends what was asked under rules that no longer hold as they were.
pub(super) fn supersede(tx: &mut Tx<'_>, set: &RuleSet) -> Result<Vec<Approval>, Stop> {
    let mut ended = Vec::new();
    for pending in tx.pending_approvals()? {
        if !still_governed(&pending, set) {
            let approval = pending.cut_short(ExpiryCause::RulesChanged, tx.now());
            save_settled(tx, &approval, Action::APPROVAL_EXPIRED)?;
            ended.push(approval);
        }
    }
    Ok(ended)
}

/// Whether each of its rules is still in force as it was asked under.
pub(super) fn still_governed(pending: &Pending, set: &RuleSet) -> bool {
    pending.ask.items.iter().all(|item| match set.decide(&item.resource, pending.ask.operation) {
        Verdict::Ruled(rule) => *rule == item.rule,
        Verdict::Refused(_) => false,
    })
}

fn explain(set: &RuleSet, resource: &Resource, operation: Operation) -> Explained {
    let explanation = set.explain(resource, operation);
    let (decision, why, rule) = match explanation.verdict {
        Verdict::Ruled(rule) if rule.quorum().is_some() => {
            ("asks", format!("the rule \"{}\" asks people", rule.name), Some(rule.clone()))
        }
        Verdict::Ruled(rule) => {
            ("allowed", format!("the rule \"{}\" asks nobody", rule.name), Some(rule.clone()))
        }
        Verdict::Refused(refusal) => {
            let why = match refusal {
                Refusal::NoRule => "no rule is for it".to_owned(),
                Refusal::Denied { rule } => format!("the rule \"{}\" denies it", rule.name),
                Refusal::OperationNotCovered { rule } => {
                    format!("the rule \"{}\" does not cover {}", rule.name, operation.as_str())
                }
            };
            ("refused", why, None)
        }
    };
    let matches = explanation.matches.iter().map(|found| {
        let (name, pattern) = match &found.placed.rule {
            AnyRule::Allow(rule) => (&rule.name, &rule.resource),
            AnyRule::Deny(denial) => (&denial.name, &denial.resource),
        };
        ExplainedMatch {
            rule: name.to_string(),
            file: found.placed.file.clone(),
            line: found.placed.line,
            pattern: pattern.to_string(),
            wins: found.wins,
            why: found.why.clone(),
        }
    });
    Explained { decision, why, matches: matches.collect(), rule }
}

fn actor(action: Action, user: Option<&User>) -> vouchsafe_core::audit::Entry {
    match user {
        Some(user) => entries::by_user(action, user),
        None => entries::by_system(action),
    }
}

fn count(set: &RuleSet) -> u32 {
    u32::try_from(set.rules().len()).unwrap_or(u32::MAX)
}
