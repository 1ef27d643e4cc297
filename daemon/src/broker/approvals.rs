//! What people may see of approvals, and their answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::broadcast;
use vouchsafe_core::approval::{Approval, Pending, Standing};
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::{ApprovalId, ProjectId};
use vouchsafe_core::policy::Directory;
use vouchsafe_core::time::Now;

use super::doors::live_user;
use super::messages::shown as messages_shown;
use super::paging::newest_first;
use super::setup::project_named;
use super::{ApprovalFilter, ApprovalView, Broker, Code, Page, Paged, Refused, Stop, WatchEvent};
use crate::store::{Before, Reader, RowFilter};

/// Pending approvals that are looked at together.
const WAITING_MAX: usize = 200;

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

/// That approvals have changed, for whoever looks again by themselves.
#[derive(Debug)]
pub struct ApprovalChanges {
    broker: Broker,
    user: User,
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

    /// One approval, with what happened before it.
    pub async fn show_approval(&self, user: &User, id: &str) -> Result<ApprovalView, Refused> {
        let (user, id, now) = (user.clone(), id.to_owned(), self.now());
        let view = self
            .look("show_approval", move |reader| {
                live_user(reader, &user)?;
                let approval = find_covered(reader, &user.reach, &id)?;
                let mut view = view(reader, approval, &user, &People::at(now))?;
                view.deliveries = messages_shown(reader, view.approval.ask().id)?;
                Ok(view)
            })
            .await?;
        Ok(self.with_evidence(view).await)
    }

    /// What is pending, of a project or of all that this person reaches: first what they may
    /// answer, then what ends first; 200 at most, and whether there is more.
    pub async fn waiting_approvals(
        &self,
        user: &User,
        project: Option<String>,
    ) -> Result<(Vec<ApprovalView>, bool), Refused> {
        let (user, now) = (user.clone(), self.now());
        self.look("waiting_approvals", move |reader| {
            let people = People::at(now);
            let mut ranked = Vec::new();
            for pending in pending_of(reader, &user, project.as_deref())? {
                let directory = people.of(reader, pending.ask.project)?;
                let standing = pending.standing(&user.name, &directory, &people.now);
                let theirs = matches!(standing, Standing::MayVote);
                ranked.push(((!theirs, pending.deadline().wall), pending));
            }
            ranked.sort_by_key(|(rank, _)| *rank);
            let more = ranked.len() > WAITING_MAX;
            let shown = ranked.into_iter().take(WAITING_MAX);
            let views = shown
                .map(|(_, pending)| view(reader, Approval::Pending(pending), &user, &people))
                .collect::<Result<Vec<_>, Stop>>()?;
            Ok((views, more))
        })
        .await
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

impl Broker {
    /// That something has changed among the approvals that this person may see.
    pub fn watch_changes(&self, user: &User) -> ApprovalChanges {
        let changes = self.inner.wakes.watch();
        ApprovalChanges { broker: self.clone(), user: user.clone(), changes }
    }
}

impl ApprovalChanges {
    /// Waits for the next change; several at once are one. Nothing once the daemon stops.
    pub async fn next(&mut self) -> Option<Result<(), Refused>> {
        loop {
            let draining = self.broker.draining();
            let change = tokio::select! {
                change = self.changes.recv() => change,
                () = draining.cancelled() => return None,
            };
            let mut changed = match change {
                Ok(id) => vec![id],
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Ok(())),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            while let Ok(id) = self.changes.try_recv() {
                changed.push(id);
            }
            let user = self.user.clone();
            let seen = self.broker.look("watch_changes", move |reader| {
                live_user(reader, &user)?;
                for id in changed {
                    let approval = reader.approval(id)?;
                    if approval.is_some_and(|found| user.reach.covers(found.ask().project)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
            match seen.await {
                Ok(true) => return Some(Ok(())),
                Ok(false) => {}
                Err(refused) => return Some(Err(refused)),
            }
        }
    }
}

impl ApprovalWatch {
    /// What comes next; nothing once the daemon stops.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Refused>> {
        loop {
            if let Some(view) = self.first.next() {
                let view = self.broker.with_evidence(view).await;
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
            let people = People::at(now);
            pending_of(reader, &user, project.as_deref())?
                .into_iter()
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

/// What is pending, of a project or of all that this person reaches; oldest first.
fn pending_of(
    reader: &Reader<'_>,
    user: &User,
    project: Option<&str>,
) -> Result<Vec<Pending>, Stop> {
    live_user(reader, user)?;
    let project = project_named(reader, user, project)?.map(|project| project.id);
    let mut all = reader.pending_approvals()?;
    all.retain(|pending| {
        let of = pending.ask.project;
        user.reach.covers(of) && project.is_none_or(|project| project == of)
    });
    Ok(all)
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

fn wanted(filter: &ApprovalFilter, approval: &Approval) -> bool {
    (filter.statuses.is_empty() || filter.statuses.contains(&approval.status()))
        && filter.resource.as_ref().is_none_or(|pattern| {
            approval.ask().items.iter().any(|item| pattern.matches(&item.resource))
        })
}

/// The people of each project, looked up once for all approvals of a list.
pub(super) struct People {
    now: Now,
    found: RefCell<HashMap<ProjectId, Rc<Directory>>>,
}

impl People {
    pub(super) fn at(now: Now) -> Self {
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

/// An approval as this person sees it.
pub(super) fn view(
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
    Ok(ApprovalView {
        approval,
        leases,
        progress,
        may_vote,
        session,
        session_until,
        evidence: None,
        deliveries: Vec::new(),
    })
}
