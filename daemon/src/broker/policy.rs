//! The rules: tried, shown, and put in force.

use std::sync::Arc;

use vouchsafe_core::approval::{Approval, ExpiryCause, Pending};
use vouchsafe_core::audit::{Action, Entry, Outcome};
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::policy::{PolicyFile, Problem, RuleSet, Verdict, parse_cases, run_cases};
use vouchsafe_core::resource::Resource;

use super::asks::save_settled;
use super::doors::live_user;
use super::setup::project_or_default;
use super::{Broker, Checked, Code, Refused, Reloaded, ShownPolicy, Stop, Tested, entries};
use crate::policy_files::{self, Folder, Loaded, Members, Seen, Sets};
use crate::store::{AcceptedPolicy, Reader, StoreError, Tx};

/// Problems that an entry of the log names.
const PROBLEMS_LOGGED: usize = 10;

impl Broker {
    /// Reads policy files as a start would; nothing changes. Without files: the daemon's own.
    pub async fn check_policy(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
    ) -> Result<Checked, Refused> {
        Ok(match self.candidate(user, files).await? {
            Ok((_, loaded)) => Checked {
                problems: Vec::new(),
                digest: loaded.digest().to_owned(),
                rules: loaded.count(),
            },
            Err(problems) => Checked { problems, digest: String::new(), rules: 0 },
        })
    }

    /// Runs the cases among policy files against the rules among them, each against those of its
    /// own project.
    pub async fn test_policy(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
    ) -> Result<Tested, Refused> {
        let (folder, loaded) = match self.candidate(user, files).await? {
            Ok(read) => read,
            Err(problems) => return Ok(Tested { problems, results: Vec::new() }),
        };
        let (mut problems, mut results) = (Vec::new(), Vec::new());
        for file in &folder.cases {
            match parse_cases(file) {
                Ok(cases) => {
                    let set = loaded.of(policy_files::project_of(&file.name));
                    results.extend(run_cases(set, &cases));
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        Ok(Tested { problems, results })
    }

    /// The rules of a project in force, what was wrong with the last ones that were tried, and the
    /// ones that wait for an approval.
    pub async fn show_policy(
        &self,
        user: &User,
        project: Option<String>,
    ) -> Result<ShownPolicy, Refused> {
        let user = user.clone();
        let (project, held) = self
            .look("show_policy", move |reader| {
                live_user(reader, &user)?;
                let project = project_or_default(reader, &user, project.as_deref())?;
                let held = match reader.last_policy_change()? {
                    Some((digest, _, Approval::Pending(held))) => Some((held.ask.id, digest)),
                    Some(_) | None => None,
                };
                Ok((project, held))
            })
            .await?;
        let policy = &self.inner.policy;
        Ok(ShownPolicy {
            loaded: policy.current(),
            project: project.name.to_string(),
            problems: policy.problems(),
            held,
        })
    }

    /// Reads the policy folder again, for a person.
    pub async fn reload_policy(&self, user: &User) -> Result<Reloaded, Refused> {
        let subject = entries::by_user(Action::POLICY_LOADED, user);
        if user.reach != Reach::Everywhere {
            let refused = Refused::new(
                Code::RoleNeeded,
                "the rules of all projects are read together, which takes the role operator in \
                 all of them",
                "Ask somebody who is an operator everywhere.",
            );
            return Err(self.refuse(subject, refused).await);
        }
        let caller = user.clone();
        self.look("reload_policy", move |reader| live_user(reader, &caller)).await?;
        self.reload(Some(user)).await
    }

    /// Reads the policy folder again. Rules with a mistake are refused whole: those before stay in
    /// force, and that is said loudly. Pending asks whose rule is not what it was expire. Where
    /// changes need an approval, a changed folder is held until it has one.
    pub async fn reload(&self, user: Option<&User>) -> Result<Reloaded, Refused> {
        let _turn = self.inner.reloading.lock().await;
        let folder = self.read_folder();
        let projects = self.look("members", |reader| Ok(members(reader)?)).await?;
        let digest = folder.as_ref().ok().map(|folder| Seen::of(folder, &projects));
        self.inner.policy.saw(digest);
        let parsed = folder.map_err(|problem| vec![problem]).and_then(|folder| {
            let sets = self.parse(&folder, &projects)?;
            Ok((folder, sets))
        });
        match parsed {
            Err(problems) => self.refuse_set(user, problems).await,
            Ok((folder, sets)) if self.inner.settings.policy_approval.is_some() => {
                self.accept_or_hold(user, folder, sets).await
            }
            Ok((folder, sets)) => self.put_in_force(user, self.loaded(folder, sets), None).await,
        }
    }

    /// Whether the policy folder, or the projects that it has rules for, are not what they were
    /// when it was last read.
    pub async fn policy_has_changed(&self) -> Result<bool, Refused> {
        let projects = self.look("members", |reader| Ok(members(reader)?)).await?;
        let now = self.read_folder().ok().map(|folder| Seen::of(&folder, &projects));
        Ok(now != self.inner.policy.seen())
    }

    /// Notes that changes of the policy folder are noticed late, and why; or that they are at once.
    pub fn policy_unwatched(&self, why: Option<String>) {
        self.inner.policy.unwatched(why);
    }

    /// Lets rules run, and ends what was asked under others.
    pub(super) async fn put_in_force(
        &self,
        user: Option<&User>,
        next: Arc<Loaded>,
        accepted: Option<AcceptedPolicy>,
    ) -> Result<Reloaded, Refused> {
        let before = self.inner.policy.current();
        let (digest, rules) = (next.digest().to_owned(), next.count());
        let changed = next.digest() != before.digest();
        let entry = actor(Action::POLICY_LOADED, user)
            .detail("rule_set", digest.as_str())
            .detail("rules", rules)
            .detail("changed", changed);
        let entry = match &accepted {
            Some(accepted) => entry.detail("accepted", accepted.digest.as_str()),
            None => entry,
        };
        // What the new rules refuse is refused from here on: before the transaction that ends what
        // was asked under the old ones, so that no ask falls between the two.
        self.inner.policy.replace(Arc::clone(&next));
        let by = actor(Action::POLICY_LOADED, user);
        let ended = self
            .run("policy_loaded", entry.clone(), move |tx| {
                if let Some(accepted) = &accepted {
                    tx.accept_policy(accepted)?;
                }
                let ended = supersede(tx, &next)?;
                for entry in changed_sets(&by, &before, &next) {
                    tx.append(&entry)?;
                }
                tx.append(&entry.clone().detail("superseded", ended.len()))?;
                Ok(ended)
            })
            .await?;
        let superseded = self.ended(&ended);
        tracing::info!(rule_set = %digest, rules, superseded, "rules are in force");
        Ok(Reloaded { problems: Vec::new(), digest, changed, rules, superseded, held: None })
    }

    /// Rules that are not put in force: what is wrong with them, loudly.
    pub(super) async fn refuse_set(
        &self,
        user: Option<&User>,
        problems: Vec<Problem>,
    ) -> Result<Reloaded, Refused> {
        let entry = refused_entry(actor(Action::POLICY_REFUSED, user), &problems);
        self.inner.policy.refuse(problems.clone());
        self.run("policy_refused", entry.clone(), move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await?;
        Ok(self.as_before(problems, None))
    }

    /// The answer where the rules that run run on.
    pub(super) fn as_before(&self, problems: Vec<Problem>, held: Option<ApprovalId>) -> Reloaded {
        let running = self.inner.policy.current();
        Reloaded {
            problems,
            digest: running.digest().to_owned(),
            changed: false,
            rules: running.count(),
            superseded: 0,
            held,
        }
    }

    /// Wakes whoever waits for approvals that ended; the answer is how many they are.
    pub(super) fn ended(&self, ended: &[Approval]) -> u32 {
        for approval in ended {
            self.settled(approval);
        }
        u32::try_from(ended.len()).unwrap_or(u32::MAX)
    }

    /// Files that a person would try, as rules of the projects that they may see; without any, the
    /// daemon's own. Inside: what is wrong with them.
    pub(super) async fn candidate(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
    ) -> Result<Result<(Folder, Arc<Loaded>), Vec<Problem>>, Refused> {
        let caller = user.clone();
        let projects = self
            .look("members", move |reader| {
                live_user(reader, &caller)?;
                let reach = |members: &Members| caller.reach.covers(members.id);
                let (mine, others): (Vec<_>, Vec<_>) =
                    members(reader)?.into_iter().partition(reach);
                Ok((mine, others))
            })
            .await?;
        let (mine, others) = projects;
        let folder = if files.is_empty() {
            self.read_folder().map(|folder| {
                folder.without(|project| others.iter().any(|other| other.project == project))
            })
        } else {
            Ok(Folder::of_files(files))
        };
        let parsed = folder.map_err(|problem| vec![problem]).and_then(|folder| {
            let sets = self.parse(&folder, &mine)?;
            let loaded = self.loaded(folder.clone(), sets);
            Ok((folder, loaded))
        });
        Ok(parsed)
    }

    pub(super) fn loaded(&self, folder: Folder, sets: Sets) -> Arc<Loaded> {
        let source = self.inner.settings.policy_dir.display().to_string();
        Arc::new(Loaded::new(sets, folder.rules, source, self.now().wall))
    }

    fn read_folder(&self) -> Result<Folder, Problem> {
        let dir = &self.inner.settings.policy_dir;
        policy_files::read_dir(dir).map_err(|error| error.problem())
    }

    fn parse(&self, folder: &Folder, projects: &[Members]) -> Result<Sets, Vec<Problem>> {
        policy_files::parse(folder, projects, &self.inner.settings.policy_options)
    }
}

/// Every project and the people in it: what policy files are read with.
pub(crate) fn members(reader: &Reader<'_>) -> Result<Vec<Members>, StoreError> {
    let of = |project: vouchsafe_core::project::Project| {
        Ok(Members {
            id: project.id,
            project: project.name.to_string(),
            archived: project.archived_at.is_some(),
            people: reader.directory(project.id)?,
        })
    };
    reader.projects()?.into_iter().map(of).collect()
}

/// Ends what was asked under rules that no longer hold as they were.
pub(super) fn supersede(tx: &mut Tx<'_>, loaded: &Loaded) -> Result<Vec<Approval>, Stop> {
    let mut ended = Vec::new();
    for pending in tx.pending_approvals()? {
        if !still_governed(&pending, loaded) {
            let approval = pending.cut_short(ExpiryCause::RulesChanged, tx.now());
            save_settled(tx, &approval, Action::APPROVAL_EXPIRED)?;
            ended.push(approval);
        }
    }
    Ok(ended)
}

/// Whether each of its rules is still in force as it was asked under. The rule of a change of the
/// rules is the configuration's, and holds until the change is settled.
pub(super) fn still_governed(pending: &Pending, loaded: &Loaded) -> bool {
    let rules: &RuleSet = loaded.of(&pending.ask.project_name);
    pending.ask.items.iter().all(|item| match &item.resource {
        Resource::Policy => true,
        resource => match rules.decide(resource, pending.ask.operation) {
            Verdict::Ruled(rule) => *rule == item.rule,
            Verdict::Refused(_) => false,
        },
    })
}

/// What the log of each project says of rules that changed: how they are called, and the digest of
/// their set. Whoever may search that log and no other finds it there.
pub(super) fn changed_sets<'a>(
    by: &'a Entry,
    before: &'a Loaded,
    next: &'a Loaded,
) -> impl Iterator<Item = Entry> + 'a {
    let changed = next
        .sets()
        .filter(|(project, set)| before.of(project).digest() != set.digest())
        .chain(before.sets().filter(|(gone, _)| next.sets().all(|(project, _)| project != *gone)));
    changed.map(move |(project, _)| {
        let set = next.of(project);
        let rules: Vec<_> = set.rules().iter().map(|rule| rule.rule.name().as_str()).collect();
        by.clone()
            .project(project)
            .detail("rule_set", set.digest().to_string())
            .detail("rules", rules)
    })
}

/// What the log says of rules with mistakes; each is said in the daemon's own log, too.
pub(super) fn refused_entry(entry: Entry, problems: &[Problem]) -> Entry {
    let lines: Vec<_> = problems.iter().take(PROBLEMS_LOGGED).map(ToString::to_string).collect();
    for line in &lines {
        tracing::error!(problem = %line, "the policy folder was refused; the rules before stay in force");
    }
    entry.outcome(Outcome::Failed).detail("problems", lines).detail("count", problems.len())
}

pub(super) fn actor(action: Action, user: Option<&User>) -> Entry {
    match user {
        Some(user) => entries::by_user(action, user),
        None => entries::by_system(action),
    }
}
