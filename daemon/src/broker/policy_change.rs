//! Changes of the rules that need an approval: held as one, and put in force when it is given.
//!
//! Where the configuration says `policy.approval = "required"`, what runs is not what the folder
//! holds but what was accepted last, which the database keeps. A folder that differs is held as an
//! approval whose detail is the difference; the vote that completes it accepts exactly those files.

use std::sync::Arc;

use vouchsafe_core::approval::{Approval, Ask, Asker, ExpiryCause, History, Item, Pending};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Claims, Role, User};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::policy::{ApproverRef, Options, Problem, Quorum, Rule, eligible};
use vouchsafe_core::resource::{Operation, Resource};

use super::asks::save_settled;
use super::policy::{actor, changed_sets, members, refused_entry, supersede};
use super::policy_diff::Difference;
use super::setup::default_project;
use super::{Broker, Code, PolicyApproval, Refused, Reloaded, Stop, entries, random};
use crate::policy_files::{self, Folder, Loaded, Sets};
use crate::store::{AcceptedPolicy, PolicyChange, Reader, Tx};

/// The most users that are looked at for admins.
const USERS_MAX: u32 = 100_000;

/// How the rules are read that an approved change puts in force.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) options: Options,
    pub(super) source: String,
    pub(super) required: bool,
    /// What runs before it.
    pub(super) before: Arc<Loaded>,
}

/// What an approved change came to.
#[derive(Clone, Debug)]
pub(super) enum Applied {
    /// These rules are accepted, and run from now on.
    InForce(Arc<Loaded>),
    /// They could be read when they were held, and cannot be now.
    Refused(Vec<Problem>),
}

/// Files to be held, and what they differ from.
#[derive(Clone, Debug)]
struct Draft {
    id: ApprovalId,
    user: Option<User>,
    needed: PolicyApproval,
    base: String,
    digest: String,
    folder: Folder,
    arguments: String,
    files: Vec<String>,
    running: String,
}

impl Broker {
    /// Puts in force what was accepted, or what nothing was accepted before; holds what differs
    /// from it. A person who reloads has it asked for anew, though it was denied before.
    pub(super) async fn accept_or_hold(
        &self,
        user: Option<&User>,
        folder: Folder,
        sets: Sets,
    ) -> Result<Reloaded, Refused> {
        let digest = folder.digest();
        let (accepted, last) = self
            .look("policy_change", |reader| {
                Ok((reader.accepted_policy()?, reader.last_policy_change()?))
            })
            .await?;
        let Some(accepted) = accepted else {
            tracing::warn!(
                digest,
                "the policy folder is accepted as it is: changes of it need an approval from now on"
            );
            let first = AcceptedPolicy {
                digest,
                files: folder.rules.clone(),
                at: self.now().wall,
                by: user.map_or_else(|| "first use".to_owned(), |user| user.name.clone()),
            };
            return self.put_in_force(user, self.loaded(folder, sets), Some(first)).await;
        };
        if accepted.digest == digest {
            self.drop_changes().await?;
            return self.put_in_force(user, self.loaded(folder, sets), None).await;
        }
        if self.inner.policy.current().count() > 0 {
            // What was wrong with the folder is mended; accepted rules that do not run stay said.
            self.inner.policy.refuse(Vec::new());
        }
        if let Some((held, base, approval)) = last
            && held == digest
            && base == accepted.digest
        {
            match approval {
                Approval::Pending(pending) => {
                    return Ok(self.as_before(Vec::new(), Some(pending.ask.id)));
                }
                // Asked and answered: nobody is asked the same again because nothing has happened.
                _ if user.is_none() => return Ok(self.as_before(Vec::new(), None)),
                _ => {}
            }
        }
        self.hold(user, &accepted, folder).await
    }

    async fn hold(
        &self,
        user: Option<&User>,
        accepted: &AcceptedPolicy,
        folder: Folder,
    ) -> Result<Reloaded, Refused> {
        let Some(needed) = self.inner.settings.policy_approval.clone() else {
            return Err(Refused::internal());
        };
        let digest = folder.digest();
        let difference = Difference::between(&accepted.files, &folder.rules);
        let draft = Draft {
            id: ApprovalId::from_random(random()?),
            user: user.cloned(),
            needed,
            base: accepted.digest.clone(),
            arguments: difference.arguments(&accepted.digest, &digest),
            files: difference.files,
            digest,
            folder,
            running: self.inner.policy.current().digest().to_owned(),
        };
        let entry = actor(Action::POLICY_HELD, user);
        let (id, ended, enough) =
            self.run("policy_held", entry, move |tx| hold(tx, &draft)).await?;
        let superseded = self.ended(&ended);
        self.inner.wakes.wake(id);
        tracing::warn!(approval = %id, "the policy folder has changed: the change waits for an approval, and the rules before it run");
        if !enough {
            tracing::error!(approval = %id, "too few people can approve the change: name more in policy.approvers");
        }
        Ok(Reloaded { superseded, ..self.as_before(Vec::new(), Some(id)) })
    }

    /// Ends the change that waits, since the folder is again what runs.
    async fn drop_changes(&self) -> Result<(), Refused> {
        let waits = self.look("policy_change", |reader| {
            Ok(matches!(reader.last_policy_change()?, Some((_, _, Approval::Pending(_)))))
        });
        if !waits.await? {
            return Ok(());
        }
        let subject = entries::by_system(Action::APPROVAL_EXPIRED);
        let ended = self.run("policy_restored", subject, drop_changes).await?;
        self.ended(&ended);
        Ok(())
    }

    /// Looks at the rules as the daemon begins to serve. Where changes need an approval, a folder
    /// that differs from what was accepted is held; where they need none, what was held or accepted
    /// before is of no account.
    pub async fn begin_policy(&self) -> Result<(), Refused> {
        if self.inner.settings.policy_approval.is_none() {
            let subject = entries::by_system(Action::APPROVAL_EXPIRED);
            let ended = self.run("begin_policy", subject, |tx| {
                tx.forget_accepted_policy()?;
                drop_changes(tx)
            });
            let ended = ended.await?;
            self.ended(&ended);
            return Ok(());
        }
        let (accepted, seen) = (
            self.look("begin_policy", |r| Ok(r.accepted_policy()?)).await?,
            self.inner.policy.seen(),
        );
        let same =
            accepted.is_some_and(|accepted| seen.is_some_and(|seen| seen.files == accepted.digest));
        // What the folder holds runs already; of anything else it is said what becomes of it.
        if same { self.drop_changes().await } else { self.reload(None).await.map(drop) }
    }

    /// How an approved change is to be read.
    pub(super) fn reading(&self) -> Reading {
        let settings = &self.inner.settings;
        Reading {
            options: settings.policy_options.clone(),
            source: settings.policy_dir.display().to_string(),
            required: settings.policy_approval.is_some(),
            before: self.inner.policy.current(),
        }
    }

    /// Lets an approved change run, after its transaction.
    pub(super) async fn applied(&self, applied: Applied) -> Result<(), Refused> {
        let _turn = self.inner.reloading.lock().await;
        let loaded = match applied {
            Applied::Refused(problems) => {
                self.inner.policy.refuse(problems);
                return Ok(());
            }
            Applied::InForce(loaded) => loaded,
        };
        let digest = Folder::of_files(loaded.files.clone()).digest();
        let accepted = self.look("accepted_policy", |reader| Ok(reader.accepted_policy()?)).await?;
        if accepted.is_none_or(|accepted| accepted.digest != digest) {
            // Another change was accepted meanwhile, and has been put in force.
            return Ok(());
        }
        self.inner.policy.replace(Arc::clone(&loaded));
        let subject = entries::by_system(Action::APPROVAL_EXPIRED);
        let ended = self.run("policy_changed", subject, move |tx| supersede(tx, &loaded)).await?;
        let superseded = self.ended(&ended);
        tracing::info!(superseded, "the approved rules are in force");
        Ok(())
    }
}

/// Accepts the files of a change that was approved just now; nothing where the approval is about
/// something else, or is not complete.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    user: &User,
    approval: &Approval,
    reading: &Reading,
) -> Result<Option<Applied>, Stop> {
    let Approval::Approved(approved) = approval else { return Ok(None) };
    let Some(change) = tx.policy_change(approved.ask.id)? else { return Ok(None) };
    let id = approved.ask.id;
    let folder = Folder::of_files(change.files.clone());
    let accepted = tx.accepted_policy()?.map(|accepted| accepted.digest);
    let sets = if !reading.required || accepted.as_ref() != Some(&change.base) {
        Err(vec![Problem {
            file: String::new(),
            line: 0,
            message: "the rules are not those any more that the change was compared with"
                .to_owned(),
            mend: "run `vouchsafe policy reload` to have it asked for again".to_owned(),
        }])
    } else {
        policy_files::parse(&folder, &members(tx)?, &reading.options)
    };
    let sets = match sets {
        Ok(sets) => sets,
        Err(problems) => {
            let entry = entries::by_user(Action::POLICY_REFUSED, user).approval(id);
            tx.append(&refused_entry(entry, &problems))?;
            return Ok(Some(Applied::Refused(problems)));
        }
    };
    let (now, files) = (tx.now().wall, change.files.clone());
    let loaded = Arc::new(Loaded::new(sets, change.files, reading.source.as_str(), now));
    let by = user.name.clone();
    tx.accept_policy(&AcceptedPolicy { digest: change.digest.clone(), files, at: now, by })?;
    let by = entries::by_user(Action::POLICY_LOADED, user).approval(id);
    for entry in changed_sets(&by, &reading.before, &loaded) {
        tx.append(&entry)?;
    }
    let entry = by
        .detail("rule_set", loaded.digest())
        .detail("rules", loaded.count())
        .detail("changed", true)
        .detail("accepted", change.digest);
    tx.append(&entry)?;
    Ok(Some(Applied::InForce(loaded)))
}

/// What an operator should know of the folder where it is not what runs; nothing where it is.
pub(super) fn notice(
    reader: &Reader<'_>,
    seen: Option<&policy_files::Seen>,
) -> Result<Option<String>, Stop> {
    let (Some(seen), Some(accepted)) = (seen, reader.accepted_policy()?) else { return Ok(None) };
    if seen.files == accepted.digest {
        return Ok(None);
    }
    let asked = reader
        .last_policy_change()?
        .filter(|(digest, base, _)| *digest == seen.files && *base == accepted.digest);
    let how = match asked.map(|(_, _, approval)| approval) {
        None => "`vouchsafe policy reload` has the change approved, once it can be read".to_owned(),
        Some(Approval::Pending(held)) => {
            let id = held.ask.id;
            let people = reader.directory(held.ask.project)?;
            if held
                .ask
                .items
                .iter()
                .all(|item| answerable(&item.rule, &held.ask.asker.owner_name, &people))
            {
                format!("the change is held as {id}")
            } else {
                format!(
                    "the change is held as {id}, and fewer people than it takes can approve it: \
                     name more in policy.approvers"
                )
            }
        }
        Some(Approval::Denied(denied)) => {
            format!("the change was denied by {} ({})", denied.by, denied.ask.id)
        }
        Some(Approval::Expired(expired)) => {
            format!("the change was not approved: {} ({})", expired.cause.explain(), expired.ask.id)
        }
        Some(Approval::Approved(approved)) => {
            format!("the change was approved ({}), and could not be read any more", approved.ask.id)
        }
        Some(Approval::Withdrawn(gone)) => format!("the change was taken back ({})", gone.ask.id),
    };
    Ok(Some(format!("The policy folder differs from the rules in force: {how}.")))
}

/// What somebody is told who would approve a change of their own.
pub(super) fn own_change() -> Refused {
    Refused::new(
        Code::OwnRequest,
        "you have asked for this change of the rules yourself",
        "Somebody else whom policy.approvers names has to approve it.",
    )
}

fn hold(tx: &mut Tx<'_>, draft: &Draft) -> Result<(ApprovalId, Vec<Approval>, bool), Stop> {
    let ended = drop_changes(tx)?;
    let project = default_project(tx)?;
    let rule = Rule::for_policy_changes(quorum(tx, draft)?);
    let user = draft.user.as_ref();
    let owner_name = user.map(|user| user.name.clone()).unwrap_or_default();
    let enough = answerable(&rule, &owner_name, &tx.directory(project.id)?);
    let ask = Ask {
        id: draft.id,
        project: project.id,
        project_name: project.name.to_string(),
        asker: Asker {
            key: None,
            key_name: String::new(),
            owner: user.map(|user| user.id),
            owner_name,
            claims: Claims::default(),
        },
        operation: Operation::Write,
        arguments: draft.arguments.clone(),
        change: None,
        reason: None,
        reason_kind: None,
        requested: None,
        asked_at: tx.now().wall,
        deadline: tx.now().deadline(rule.pending_for),
        rule_set: draft.running.clone(),
        history: History::default(),
        items: vec![Item {
            resource: Resource::Policy,
            secret: None,
            version: 0,
            description: "the rules of all projects".to_owned(),
            rule,
        }],
    };
    let entry = entries::about_ask(actor(Action::POLICY_HELD, user), &ask)
        .detail("from", draft.base.as_str())
        .detail("to", draft.digest.as_str())
        .detail("files", draft.files.clone())
        .detail("expires_at", ask.deadline.wall.rfc3339());
    let change = PolicyChange {
        approval: ask.id,
        base: draft.base.clone(),
        digest: draft.digest.clone(),
        files: draft.folder.rules.clone(),
    };
    // While everything is stopped, its clock stands still and nobody approves it.
    let stopped = tx.stop_over(project.id, None)?.is_some();
    let pending = Pending::new(ask);
    let pending = if stopped { pending.stop(tx.now()) } else { pending };
    if !tx.insert_approval(&pending)? {
        return Err(Refused::internal().into());
    }
    tx.insert_policy_change(&change)?;
    tx.append(&entry)?;
    Ok((draft.id, ended, enough))
}

/// Whom a change asks: as the configuration says, and one more where nobody knows whose it is, for
/// it may be one of those who approve it.
fn quorum(reader: &Reader<'_>, draft: &Draft) -> Result<Quorum, Stop> {
    let mut from = draft.needed.approvers.clone();
    if from.is_empty() {
        let users = reader.users_after("", USERS_MAX)?;
        let admins = users.iter().filter(|user| user.enabled && user.roles.contains(Role::Admin));
        from = admins.map(|user| ApproverRef::User(user.name.to_string())).collect();
    }
    from.sort();
    from.dedup();
    let more = u32::from(draft.user.is_none());
    Ok(Quorum::of(from, draft.needed.quorum.saturating_add(more)))
}

fn answerable(rule: &Rule, owner: &str, people: &vouchsafe_core::policy::Directory) -> bool {
    let Some(quorum) = rule.quorum() else { return false };
    let asked: Vec<_> = quorum.approvers().into_iter().cloned().collect();
    let names = eligible(&asked, people);
    let names: Vec<_> = names.iter().map(String::as_str).filter(|name| *name != owner).collect();
    quorum.is_met(&names, &[], people)
}

/// Ends every change that waits.
fn drop_changes(tx: &mut Tx<'_>) -> Result<Vec<Approval>, Stop> {
    let mut ended = Vec::new();
    for pending in tx.pending_approvals()? {
        if pending.ask.items.iter().any(|item| item.resource == Resource::Policy) {
            let approval = pending.cut_short(ExpiryCause::Superseded, tx.now());
            save_settled(tx, &approval, Action::APPROVAL_EXPIRED)?;
            ended.push(approval);
        }
    }
    Ok(ended)
}
