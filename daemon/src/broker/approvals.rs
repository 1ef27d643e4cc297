//! What people may see of approvals, and their answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::broadcast;
use vouchsafe_core::approval::{
    Approval, Approved, Ballot, Bar, ExpiryCause, How, Standing, Vote, VoteError,
};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::{ApprovalId, LeaseId, ProjectId};
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::policy::Directory;
use vouchsafe_core::text::visible_chars;
use vouchsafe_core::time::Now;

use super::asks::save_settled;
use super::doors::live_user;
use super::paging::newest_first;
use super::policy::still_governed;
use super::setup::project_named;
use super::{
    ApprovalFilter, ApprovalView, Broker, Code, Page, Paged, Refused, Stop, VoteCommand,
    WatchEvent, entries, policy_change, random,
};
use crate::policy_files::Loaded;
use crate::store::{Before, Reader, RowFilter, Tx};

/// The longest reason of a vote, in characters.
const VOTE_REASON_CHARS_MAX: usize = 2_000;

/// What a vote came to.
enum Voted {
    Counted { view: Box<ApprovalView>, leases: Vec<Lease> },
    TooLate(Box<Approval>),
}

/// Approvals as they come and change.
#[derive(Debug)]
pub struct ApprovalWatch {
    broker: Broker,
    user: User,
    project: Option<String>,
    first: std::vec::IntoIter<ApprovalView>,
    told: bool,
    changes: broadcast::Receiver<ApprovalId>,
}

impl Broker {
    /// Approvals, newest first.
    pub async fn list_approvals(
        &self,
        user: &User,
        filter: ApprovalFilter,
        page: Page,
    ) -> Result<Paged<ApprovalView>, Refused> {
        let (user, now) = (user.clone(), self.now());
        self.look("list_approvals", move |reader| {
            live_user(reader, &user)?;
            let people = People::at(now);
            let rows = RowFilter {
                project: project_named(reader, &user, filter.project.as_deref())?.map(|p| p.id),
                key_name: filter.key.clone(),
                since: filter.since,
            };
            newest_first(
                &page,
                |before, limit| Ok(reader.approvals_before(&rows, before, limit)?),
                |approval| Before {
                    at: approval.ask().asked_at,
                    id: approval.ask().id.to_string(),
                },
                |approval| {
                    let covered = user.reach.covers(approval.ask().project);
                    if covered && wanted(&filter, &approval) {
                        view(reader, approval, &user, &people).map(Some)
                    } else {
                        Ok(None)
                    }
                },
            )
        })
        .await
    }

    /// One approval.
    pub async fn show_approval(&self, user: &User, id: &str) -> Result<ApprovalView, Refused> {
        let (user, id, now) = (user.clone(), id.to_owned(), self.now());
        self.look("show_approval", move |reader| {
            live_user(reader, &user)?;
            let approval = find_covered(reader, &user.reach, &id)?;
            view(reader, approval, &user, &People::at(now))
        })
        .await
    }

    /// Takes one person's answer. What follows from it is saved with it: the leases exist in the
    /// same transaction.
    pub async fn vote(
        &self,
        user: &User,
        command: VoteCommand,
    ) -> Result<(ApprovalView, Vec<Lease>), Refused> {
        let subject = entries::by_user(Action::APPROVAL_VOTED, user);
        if let Err(refused) = check_vote(&command) {
            return Err(self.refuse(subject, refused).await);
        }
        let mut lease_ids = Vec::new();
        for _ in 0..vouchsafe_core::approval::ITEMS_MAX {
            lease_ids.push(LeaseId::from_random(random()?));
        }
        let denies = matches!(command.ballot, Ballot::Deny);
        let (user, policy) = (user.clone(), Arc::clone(&self.inner.policy));
        let reading = self.reading();
        let work = move |tx: &mut Tx<'_>| {
            let voted = cast(tx, &user, &command, &lease_ids, &policy.current())?;
            let applied = match &voted {
                Voted::Counted { view, .. } => {
                    policy_change::apply(tx, &user, &view.approval, &reading)?
                }
                Voted::TooLate(_) => None,
            };
            Ok((voted, applied))
        };
        let (voted, applied) = if denies {
            self.run_essential("vote", subject, work).await?
        } else {
            self.run("vote", subject, work).await?
        };
        if let Some(applied) = applied {
            self.applied(applied).await?;
        }
        match voted {
            Voted::Counted { view, leases } => {
                match &view.approval {
                    // One vote more, and more are needed.
                    Approval::Pending(pending) => self.inner.wakes.wake(pending.ask.id),
                    settled => self.settled(settled),
                }
                self.inner.count.leased(u64::try_from(leases.len()).unwrap_or(u64::MAX));
                Ok((*view, leases))
            }
            Voted::TooLate(approval) => {
                self.settled(&approval);
                Err(too_late(&approval))
            }
        }
    }

    /// All that is pending, then each change.
    pub async fn watch_approvals(
        &self,
        user: &User,
        project: Option<String>,
    ) -> Result<ApprovalWatch, Refused> {
        // Before the first look, so that nothing falls between the two.
        let changes = self.inner.wakes.watch();
        let mut watch = ApprovalWatch {
            broker: self.clone(),
            user: user.clone(),
            project,
            first: Vec::new().into_iter(),
            told: false,
            changes,
        };
        watch.start_over().await?;
        Ok(watch)
    }
}

impl ApprovalWatch {
    /// What comes next; nothing once the daemon stops.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Refused>> {
        loop {
            if let Some(view) = self.first.next() {
                return Some(Ok(WatchEvent::Approval(Box::new(view))));
            }
            if !self.told {
                self.told = true;
                return Some(Ok(WatchEvent::CaughtUp));
            }
            let draining = self.broker.draining();
            let change = tokio::select! {
                change = self.changes.recv() => change,
                () = draining.cancelled() => return None,
            };
            match change {
                Ok(id) => match self.broker.show_approval(&self.user, &id.to_string()).await {
                    Ok(view) if self.is_of_project(&view) => {
                        return Some(Ok(WatchEvent::Approval(Box::new(view))));
                    }
                    Ok(_) => {}
                    // Of a project that is none of theirs.
                    Err(refused) if refused.code == Code::ApprovalNotFound => {}
                    Err(refused) => return Some(Err(refused)),
                },
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    if let Err(refused) = self.start_over().await {
                        return Some(Err(refused));
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    async fn start_over(&mut self) -> Result<(), Refused> {
        let (user, project) = (self.user.clone(), self.project.clone());
        let now = self.broker.now();
        let pending = self.broker.look("watch_approvals", move |reader| {
            live_user(reader, &user)?;
            let project = project_named(reader, &user, project.as_deref())?;
            let people = People::at(now);
            let all = reader.pending_approvals()?.into_iter();
            all.filter(|pending| user.reach.covers(pending.ask.project))
                .filter(|pending| project.as_ref().is_none_or(|p| p.id == pending.ask.project))
                .map(|pending| view(reader, Approval::Pending(pending), &user, &people))
                .collect::<Result<Vec<_>, Stop>>()
        });
        self.first = pending.await?.into_iter();
        self.told = false;
        Ok(())
    }

    fn is_of_project(&self, view: &ApprovalView) -> bool {
        self.project.as_ref().is_none_or(|name| *name == view.approval.ask().project_name)
    }
}

/// The approval of an id that may be shortened while it is unique.
pub(super) fn find(reader: &Reader<'_>, typed: &str) -> Result<Approval, Stop> {
    let prefix = ApprovalId::search_prefix(typed).ok_or_else(|| not_found(typed))?;
    let ids = reader.approval_ids(&prefix)?;
    match ids.as_slice() {
        [id] => Ok(reader.approval(*id)?.ok_or_else(|| not_found(typed))?),
        [] => Err(not_found(typed).into()),
        _ => Err(Refused::new(
            Code::AmbiguousId,
            format!("more than one approval's id begins with {prefix}"),
            "Write more of its characters.",
        )
        .into()),
    }
}

/// [`find`], where what the reach does not cover is not there.
pub(super) fn find_covered(
    reader: &Reader<'_>,
    reach: &Reach,
    typed: &str,
) -> Result<Approval, Stop> {
    let approval = find(reader, typed)?;
    if reach.covers(approval.ask().project) { Ok(approval) } else { Err(not_found(typed).into()) }
}

pub(super) fn not_found(typed: &str) -> Refused {
    Refused::new(
        Code::ApprovalNotFound,
        format!("there is no approval `{}`", vouchsafe_core::text::echo(typed, 40)),
        "`vouchsafe approvals list` shows which there are.",
    )
}

/// What somebody is told whose answer comes after the decision.
pub(super) fn settled_already(approval: &Approval) -> Refused {
    let how = match approval {
        Approval::Pending(_) => "is pending".to_owned(),
        Approval::Approved(approved) => {
            let names: Vec<_> = approved.votes.iter().map(|v| v.voter_name.as_str()).collect();
            let by = match &approved.how {
                How::People => names.join(", "),
                How::Automatic { .. } => "its rule, whose conditions came to hold,".to_owned(),
                How::Session { .. } => "a session that people gave its key".to_owned(),
                How::BreakGlass { by, .. } => format!("{by}, who broke the glass,"),
            };
            format!("was approved by {by} at {}", approved.at)
        }
        Approval::Denied(denied) => format!("was denied by {} at {}", denied.by, denied.at),
        Approval::Expired(expired) => {
            format!("expired at {}: {}", expired.at, expired.cause.explain())
        }
        Approval::Withdrawn(gone) => format!("was taken back by {} at {}", gone.by, gone.at),
    };
    let code = match approval {
        Approval::Expired(_) => Code::ApprovalExpired,
        Approval::Pending(_)
        | Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Withdrawn(_) => Code::ApprovalSettled,
    };
    Refused::new(
        code,
        format!("the approval {} {how}", approval.ask().id),
        "The decision stands; `vouchsafe leases revoke` takes a lease back.",
    )
}

fn too_late(approval: &Approval) -> Refused {
    let mut refused = settled_already(approval);
    "The answer came too late and did not count; the agent can ask again."
        .clone_into(&mut refused.next);
    refused
}

fn check_vote(command: &VoteCommand) -> Result<(), Refused> {
    let length = command.reason.chars().count();
    if length > VOTE_REASON_CHARS_MAX {
        return Err(Refused::invalid(
            format!("the reason has {length} characters, and {VOTE_REASON_CHARS_MAX} is the most"),
            "Say it more briefly.",
        ));
    }
    let denies = matches!(command.ballot, Ballot::Deny);
    if denies && visible_chars(&command.reason) == 0 {
        return Err(Refused::new(
            Code::ReasonNeeded,
            "a denial needs a reason, and it reaches the agent",
            "Answer again with a reason, such as \"use the staging database\".",
        ));
    }
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if command.rendering.as_deref().is_some_and(|text| !hex(text)) {
        return Err(Refused::invalid(
            "the rendering's digest is not 64 hexadecimal digits",
            "Leave it out, or send SHA-256 of what was shown.",
        ));
    }
    Ok(())
}

fn cast(
    tx: &mut Tx<'_>,
    user: &User,
    command: &VoteCommand,
    lease_ids: &[LeaseId],
    loaded: &Loaded,
) -> Result<Voted, Stop> {
    live_user(tx, user)?;
    let pending = match find_covered(tx, &user.reach, &command.id)? {
        Approval::Pending(pending) => pending,
        settled => return Err(settled_already(&settled).into()),
    };
    let pending = match pending.expire(tx.now()) {
        Approval::Pending(pending) => pending,
        expired => return too_late_to_count(tx, user, expired),
    };
    // A no is never too late for the rules; a yes is to what they ask for now.
    if matches!(command.ballot, Ballot::Approve(_)) && !still_governed(&pending, loaded) {
        let ended = pending.cut_short(ExpiryCause::RulesChanged, tx.now());
        return too_late_to_count(tx, user, ended);
    }
    let vote = Vote {
        voter: user.id,
        voter_name: user.name.clone(),
        ballot: command.ballot.clone(),
        reason: command.reason.clone(),
        digest: command.digest.parse().map_err(|_| stale())?,
        rendering: command.rendering.clone(),
        via: "grpc".to_owned(),
        at: tx.now().wall,
    };
    let people = tx.directory(pending.ask.project)?;
    let of_rules = pending.ask.asker.key.is_none();
    let next = pending.vote(vote.clone(), &people, tx.now()).map_err(|error| match error {
        VoteError::Barred(Bar::OwnRequest) if of_rules => policy_change::own_change(),
        error => vote_refused(&error),
    })?;
    let id = next.ask().id;
    if !tx.save_approval(&next)? || !tx.insert_vote(id, &vote)? {
        return Err(Refused::internal().into());
    }
    let entry = entries::by_user(Action::APPROVAL_VOTED, user);
    tx.append(&entries::voted(entry, next.ask(), &vote))?;
    let leases = follow_up(tx, user, &next, lease_ids)?;
    let view = Box::new(view(tx, next, user, &People::at(tx.now().clone()))?);
    Ok(Voted::Counted { view, leases })
}

/// What a decision brings with it: its own entry, and the leases.
fn follow_up(
    tx: &mut Tx<'_>,
    user: &User,
    next: &Approval,
    lease_ids: &[LeaseId],
) -> Result<Vec<Lease>, Stop> {
    let mut leases = Vec::new();
    match next {
        Approval::Denied(_) => {
            let entry = entries::by_user(Action::APPROVAL_DENIED, user);
            tx.append(&entries::settled(entry, next))?;
        }
        Approval::Approved(approved) => {
            let entry = entries::by_user(Action::APPROVAL_APPROVED, user);
            tx.append(&entries::settled(entry, next))?;
            for (allowance, id) in approved.allowances().zip(lease_ids) {
                let lease = Active::issue(*id, allowance, tx.now());
                tx.insert_lease(&lease)?;
                let entry = entries::by_user(Action::LEASE_ISSUED, user);
                tx.append(&entries::about_lease(entry, &lease))?;
                leases.push(Lease::Active(lease));
            }
            remember(tx, user, approved)?;
        }
        Approval::Pending(_) | Approval::Expired(_) | Approval::Withdrawn(_) => {}
    }
    Ok(leases)
}

/// Begins the sessions that people gave with an approval.
fn remember(tx: &mut Tx<'_>, user: &User, approved: &Approved) -> Result<(), Stop> {
    let Some(key) = approved.ask.asker.key else { return Ok(()) };
    let (Some(standing), Some(settings)) = (tx.key_standing(key)?, tx.key_settings(key)?) else {
        return Ok(());
    };
    for session in approved.sessions(standing.generation, settings.session, tx.now()) {
        tx.insert_session(&session)?;
        let entry = entries::by_user(Action::SESSION_STARTED, user);
        tx.append(&entries::about_session(entry, &session))?;
    }
    Ok(())
}

fn too_late_to_count(tx: &mut Tx<'_>, user: &User, expired: Approval) -> Result<Voted, Stop> {
    save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
    let entry = entries::by_user(Action::APPROVAL_VOTED, user);
    tx.append(&super::refusal(entries::about_ask(entry, expired.ask()), &too_late(&expired)))?;
    Ok(Voted::TooLate(Box::new(expired)))
}

fn vote_refused(error: &VoteError) -> Refused {
    let message = error.to_string();
    match error {
        VoteError::Expired => {
            Refused::new(Code::ApprovalExpired, message, "The agent can ask again.")
        }
        VoteError::Stale => stale(),
        VoteError::Stopped => Refused::new(
            Code::Stopped,
            message,
            "Deny it, or answer once somebody has resumed (`vouchsafe status` says who stopped it).",
        ),
        VoteError::NotRemembered(_) => Refused::new(
            Code::NotNarrower,
            message,
            "Approve it for a lease, or once; `remember = true` in the rule would allow a session.",
        ),
        VoteError::Barred(bar) => match bar {
            Bar::OwnRequest => Refused::new(
                Code::OwnRequest,
                "the key that asks is your own, and the rule does not allow self-approval",
                "Somebody else whom the rule names has to answer.",
            ),
            Bar::NotAnApprover => Refused::new(
                Code::NotAnApprover,
                "no rule of this ask names you as an approver",
                "`vouchsafe approvals show` says who may answer.",
            ),
            Bar::AlreadyVoted => Refused::new(
                Code::AlreadyVoted,
                "you have answered already, and a vote is final",
                "`vouchsafe approvals show` says what is still missing.",
            ),
        },
        VoteError::NoLease => Refused::new(
            Code::NotNarrower,
            message,
            "Answer again without --duration and --uses, or deny it.",
        ),
        VoteError::TooLong(_) | VoteError::TooShort | VoteError::TooManyUses(_) => {
            Refused::new(Code::NotNarrower, message, "Answer again within these limits.")
        }
        VoteError::NotAsked(_) | VoteError::NotYours(_) => Refused::new(
            Code::NotNarrower,
            message,
            "`--only` takes resources of this ask that you may answer for.",
        ),
        VoteError::NothingInCommon => {
            Refused::new(Code::NotNarrower, message, "Choose what the others chose, or deny.")
        }
    }
}

fn stale() -> Refused {
    Refused::new(
        Code::StaleDigest,
        "the answer was given on something other than what is asked now",
        "Look at the approval again (`vouchsafe approvals show`) and answer that.",
    )
}

fn wanted(filter: &ApprovalFilter, approval: &Approval) -> bool {
    (filter.statuses.is_empty() || filter.statuses.contains(&approval.status()))
        && filter.resource.as_ref().is_none_or(|pattern| {
            approval.ask().items.iter().any(|item| pattern.matches(&item.resource))
        })
}

/// The people of each project, looked up once for all approvals of a list.
struct People {
    now: Now,
    found: RefCell<HashMap<ProjectId, Rc<Directory>>>,
}

impl People {
    fn at(now: Now) -> Self {
        Self { now, found: RefCell::default() }
    }

    fn of(&self, reader: &Reader<'_>, project: ProjectId) -> Result<Rc<Directory>, Stop> {
        if let Some(people) = self.found.borrow().get(&project) {
            return Ok(Rc::clone(people));
        }
        let people = Rc::new(reader.directory(project)?);
        self.found.borrow_mut().insert(project, Rc::clone(&people));
        Ok(people)
    }
}

fn view(
    reader: &Reader<'_>,
    approval: Approval,
    user: &User,
    people: &People,
) -> Result<ApprovalView, Stop> {
    let now = &people.now;
    let people = people.of(reader, approval.ask().project)?;
    let (progress, may_vote) = match &approval {
        Approval::Pending(pending) => {
            let may_vote = match pending.standing(&user.name, &people, now) {
                Standing::MayVote => Ok(()),
                Standing::MayNot(bar) => Err(bar.to_string()),
            };
            (pending.progress(&people, now), may_vote)
        }
        settled => (
            vouchsafe_core::approval::progress(
                settled.ask(),
                settled.votes(),
                &people,
                std::time::Duration::MAX,
            ),
            Err(format!("it is {}", settled.status().as_str())),
        ),
    };
    let leases = match &approval {
        Approval::Approved(approved) => {
            reader.leases_of(approved.ask.id)?.iter().map(|lease| lease.terms().id).collect()
        }
        Approval::Pending(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => Vec::new(),
    };
    let session = match approval.ask().asker.key {
        Some(key) => reader.key_settings(key)?.map(|settings| settings.session.duration()),
        None => None,
    };
    let session_until = match &approval {
        Approval::Approved(approved) => {
            reader.sessions_of(approved.ask.id)?.iter().map(|session| session.until.wall).max()
        }
        Approval::Pending(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => None,
    };
    Ok(ApprovalView { approval, leases, progress, may_vote, session, session_until })
}
