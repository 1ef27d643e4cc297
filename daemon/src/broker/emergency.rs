//! The emergency stop: nothing that it covers is released until somebody resumes.

use vouchsafe_core::approval::{Approval, Pending};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId};
use vouchsafe_core::stop::{self, Stopped};
use vouchsafe_core::text::{REASON_CHARS_MAX, echo, escape_untrusted, visible_chars};

use super::asks::save_settled;
use super::doors::live_user;
use super::messages::expire;
use super::setup::project_or_default;
use super::{Broker, Code, Refused, Stop, StopView, entries};
use crate::store::{Reader, Tx};

/// Characters of a stop's reason that a message repeats.
const REASON_SHOWN_MAX: usize = 300;

/// What is to be stopped, or resumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StopOf {
    /// Everything.
    All,
    /// The project of this name.
    Project(String),
    /// One key.
    Key {
        /// Of this project; none: the default one.
        project: Option<String>,
        /// Of this name.
        name: String,
    },
}

/// A stop, as it was made.
#[derive(Clone, Debug)]
pub struct StoppedLeases {
    /// The stop.
    pub stop: StopView,
    /// Active leases that release nothing now.
    pub leases_held: u32,
    /// Pending approvals whose clocks this held.
    pub approvals_held: u32,
}

/// A stop that somebody took back.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The stop.
    pub ended: StopView,
    /// Pending approvals whose clocks run on.
    pub approvals_resumed: u32,
    /// The stops that still stand.
    pub left: Vec<StopView>,
}

/// What a change of the stops did to those who wait.
#[derive(Debug, Default)]
struct Touched {
    /// Approvals whose clocks were held or run on again.
    turned: Vec<ApprovalId>,
    /// Approvals whose time was up already.
    ended: Vec<Approval>,
}

impl Broker {
    /// Stops a key, a project or everything: from here on nothing that it covers is released. Goes
    /// on while the disk is full.
    pub async fn stop_leases(
        &self,
        user: &User,
        what: StopOf,
        reason: String,
    ) -> Result<StoppedLeases, Refused> {
        let subject = tried(Action::LEASES_STOPPED, user, &what);
        if let Err(refused) = check_reason(&reason).and_then(|()| check_everywhere(user, &what)) {
            return Err(self.refuse(subject, refused).await);
        }
        let user = user.clone();
        let (stopped, touched) = self
            .run_essential("stop_leases", subject, move |tx| {
                live_user(tx, &user)?;
                stop(tx, &user, &what, &reason)
            })
            .await?;
        self.tell_touched(&touched);
        Ok(stopped)
    }

    /// Takes a stop back: what no other stop covers goes on, with the time it had left.
    pub async fn resume_leases(
        &self,
        user: &User,
        what: StopOf,
        reason: String,
    ) -> Result<Resumed, Refused> {
        let subject = tried(Action::LEASES_RESUMED, user, &what);
        if let Err(refused) = check_everywhere(user, &what) {
            return Err(self.refuse(subject, refused).await);
        }
        let user = user.clone();
        let (resumed, touched) = self
            .run_essential("resume_leases", subject, move |tx| {
                live_user(tx, &user)?;
                resume(tx, &user, &what, &reason)
            })
            .await?;
        self.tell_touched(&touched);
        Ok(resumed)
    }

    /// What is stopped, the widest stops first, as far as the user reaches.
    pub async fn list_stops(&self, user: &User) -> Result<Vec<StopView>, Refused> {
        let user = user.clone();
        self.look("list_stops", move |reader| {
            live_user(reader, &user)?;
            stops_for(reader, &user)
        })
        .await
    }

    fn tell_touched(&self, touched: &Touched) {
        for approval in &touched.ended {
            self.settled(approval);
        }
        for id in &touched.turned {
            self.inner.wakes.wake(*id);
        }
    }
}

impl StopOf {
    /// What it is, as a message names it.
    fn spoken(&self) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Project(name) => format!("the project `{}`", echo(name, 40)),
            Self::Key { name, .. } => format!("the key `{}`", echo(name, 40)),
        }
    }
}

/// Refuses what a key wants while a stop covers it: a read, a use, an ask, a renewal.
pub(super) fn check_not_stopped(
    reader: &Reader<'_>,
    project: ProjectId,
    key: KeyId,
) -> Result<(), Stop> {
    match reader.stop_over(project, Some(key))? {
        None => Ok(()),
        Some(stop) => Err(stopped(&stop).into()),
    }
}

/// The stops that a person may know of: what stops their projects.
pub(super) fn stops_for(reader: &Reader<'_>, user: &User) -> Result<Vec<StopView>, Stop> {
    let mut stops = reader.stops()?;
    stops.retain(|stop| stop.within.is_none_or(|project| user.reach.covers(project)));
    Ok(stops)
}

/// A stop in a sentence, for people.
pub(super) fn sentence(view: &StopView) -> String {
    let stop = &view.stop;
    format!(
        "{} is stopped by {} since {}: {}",
        named(view),
        stop.by,
        stop.at,
        echo(&stop.reason, REASON_SHOWN_MAX)
    )
}

fn stop(
    tx: &mut Tx<'_>,
    user: &User,
    what: &StopOf,
    reason: &str,
) -> Result<(StoppedLeases, Touched), Stop> {
    let what = resolve(tx, user, what)?;
    let now = tx.now().clone();
    let stop =
        stop::Stop { what, by: user.name.clone(), reason: reason.trim().to_owned(), at: now.wall };
    let news = tx.insert_stop(&stop)?;
    let standing = tx.stops()?.into_iter().find(|view| view.stop.what == what);
    let standing = standing.ok_or_else(Refused::internal)?;
    if !news {
        return Err(Refused::new(
            Code::AlreadyStopped,
            sentence(&standing),
            "Nothing more is needed; `vouchsafe resume` takes it back.",
        )
        .into());
    }
    let mut touched = Touched::default();
    for pending in tx.pending_approvals()? {
        let ask = &pending.ask;
        if pending.is_stopped() || !what.covers_asker(ask.project, ask.asker.key) {
            continue;
        }
        match expire(tx, pending)? {
            Approval::Pending(pending) => turn(tx, pending.stop(&now), &mut touched)?,
            expired => {
                save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
                touched.ended.push(expired);
            }
        }
    }
    let leases = tx.active_leases()?.into_iter().filter(|lease| {
        what.covers(lease.terms.project, lease.terms.holder) && !lease.deadline.passed(&now)
    });
    let (leases_held, approvals_held) = (count(leases.count()), count(touched.turned.len()));
    let entry = about(entries::by_user(Action::LEASES_STOPPED, user), &standing)
        .detail("reason", escape_untrusted(&stop.reason).text)
        .detail("leases_held", leases_held)
        .detail("approvals_held", approvals_held);
    tx.append(&entry)?;
    Ok((StoppedLeases { stop: standing, leases_held, approvals_held }, touched))
}

fn resume(
    tx: &mut Tx<'_>,
    user: &User,
    what: &StopOf,
    reason: &str,
) -> Result<(Resumed, Touched), Stop> {
    let name = what.spoken();
    let what = resolve(tx, user, what)?;
    let now = tx.now().clone();
    let ended = tx.stops()?.into_iter().find(|view| view.stop.what == what);
    let Some(ended) = ended else {
        return Err(Refused::new(
            Code::NotStopped,
            format!("there is no stop of {name}"),
            "`vouchsafe status` says what is.",
        )
        .into());
    };
    if !tx.delete_stop(what)? {
        return Err(Refused::internal().into());
    }
    let left = tx.stops()?;
    let mut touched = Touched::default();
    for pending in tx.pending_approvals()? {
        let ask = &pending.ask;
        let covered = |view: &StopView| view.stop.what.covers_asker(ask.project, ask.asker.key);
        if pending.is_stopped() && !left.iter().any(covered) {
            turn(tx, pending.resume(&now), &mut touched)?;
        }
    }
    let approvals_resumed = count(touched.turned.len());
    let mut entry = about(entries::by_user(Action::LEASES_RESUMED, user), &ended)
        .detail("stopped_by", ended.stop.by.as_str())
        .detail("stopped_at", ended.stop.at.rfc3339())
        .detail("approvals_resumed", approvals_resumed)
        .detail("left", left.iter().map(StopView::what).collect::<Vec<_>>());
    if visible_chars(reason) > 0 {
        entry = entry.detail("reason", escape_untrusted(reason).text);
    }
    tx.append(&entry)?;
    let left = stops_for(tx, user)?;
    Ok((Resumed { ended, approvals_resumed, left }, touched))
}

/// Saves an approval whose clock was held, or runs on.
fn turn(tx: &mut Tx<'_>, pending: Pending, touched: &mut Touched) -> Result<(), Stop> {
    let id = pending.ask.id;
    if !tx.save_approval(&Approval::Pending(pending))? {
        return Err(Refused::internal().into());
    }
    touched.turned.push(id);
    Ok(())
}

/// What is meant, where the user reaches it.
fn resolve(reader: &Reader<'_>, user: &User, what: &StopOf) -> Result<Stopped, Stop> {
    match what {
        StopOf::All => Ok(Stopped::All),
        StopOf::Project(name) => {
            Ok(Stopped::Project(project_or_default(reader, user, Some(name))?.id))
        }
        StopOf::Key { project, name } => {
            let project = project_or_default(reader, user, project.as_deref())?;
            let key = reader.key_named(project.id, name)?;
            let key = key.ok_or_else(|| super::keys::not_found(name))?;
            Ok(Stopped::Key(key.key.id))
        }
    }
}

fn check_everywhere(user: &User, what: &StopOf) -> Result<(), Refused> {
    if *what != StopOf::All || user.reach == Reach::Everywhere {
        return Ok(());
    }
    Err(Refused::new(
        Code::RoleNeeded,
        format!(
            "everything is every project's, and {} is approver or operator in some of them only",
            user.name
        ),
        "Stop or resume a project of yours with `--project`, or ask somebody who has the role in \
         all of them.",
    ))
}

fn check_reason(reason: &str) -> Result<(), Refused> {
    let chars = reason.chars().count();
    if chars > REASON_CHARS_MAX {
        return Err(Refused::invalid(
            format!("the reason has {chars} characters, and may have {REASON_CHARS_MAX}"),
            "Say it in fewer words.",
        ));
    }
    if visible_chars(reason) == 0 {
        return Err(Refused::new(
            Code::ReasonNeeded,
            "a stop needs a reason: agents and people are told it while it stands",
            "Say it in a few words, such as \"a laptop was stolen\".",
        ));
    }
    Ok(())
}

fn stopped(stop: &stop::Stop) -> Refused {
    let what = match stop.what {
        Stopped::All => "everything",
        Stopped::Project(_) => "this project",
        Stopped::Key(_) => "this key",
    };
    Refused::new(
        Code::Stopped,
        format!("{what} is stopped since {}: {}", stop.at, echo(&stop.reason, REASON_SHOWN_MAX)),
        "Wait; nothing is released until a person resumes. What people have been asked stays, and \
         its time stands still.",
    )
}

/// What is stopped, by name.
fn named(view: &StopView) -> String {
    match view.stop.what {
        Stopped::All => "everything".to_owned(),
        Stopped::Project(_) => format!("the project `{}`", view.project),
        Stopped::Key(_) => format!("the key `{}` of the project `{}`", view.key, view.project),
    }
}

/// What the log says of a stop, or its end, that is refused.
fn tried(action: Action, user: &User, what: &StopOf) -> Entry {
    entries::by_user(action, user).detail("what", what.spoken())
}

/// What the log says of a stop beyond who did it.
fn about(entry: Entry, view: &StopView) -> Entry {
    let entry = entry.detail("what", view.what());
    if view.project.is_empty() { entry } else { entry.project(&view.project) }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
