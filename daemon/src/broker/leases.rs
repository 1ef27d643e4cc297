//! What people may see of leases, and how they take them back.

use vouchsafe_core::approval::{Approval, Approved, How};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::User;
use vouchsafe_core::id::{LeaseId, ProjectId, UserId};
use vouchsafe_core::lease::{Active, Ending, Lease};
use vouchsafe_core::text::{echo, visible_chars};
use vouchsafe_core::time::UnixTime;

use super::doors::live_user;
use super::paging::newest_first;
use super::sessions::{Sessions, count_sessions, end_sessions};
use super::setup::{project_named, project_or_default};
use super::{Broker, Code, LeaseFilter, LeaseStatus, Page, Paged, Refused, Stop, Which, entries};
use crate::store::{Before, Reader, RowFilter, Tx};

/// Leases that ended, and what ended with them.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// The leases.
    pub leases: Vec<Lease>,
    /// How many sessions ended with them.
    pub sessions: u32,
}

impl Broker {
    /// Leases, newest first.
    pub async fn list_leases(
        &self,
        user: &User,
        filter: LeaseFilter,
        page: Page,
    ) -> Result<Paged<Lease>, Refused> {
        let user = user.clone();
        self.look("list_leases", move |reader| {
            live_user(reader, &user)?;
            let rows = RowFilter {
                project: project_named(reader, &user, filter.project.as_deref())?.map(|p| p.id),
                key_name: filter.key.clone(),
                since: filter.since,
            };
            newest_first(
                &page,
                |before, limit| Ok(reader.leases_before(&rows, before, limit)?),
                |lease| Before { at: lease.terms().issued_at, id: lease.terms().id.to_string() },
                |lease| {
                    let seen = user.reach.covers(lease.terms().project);
                    Ok((seen && wanted(&filter, &lease)).then_some(lease))
                },
            )
        })
        .await
    }

    /// One lease.
    pub async fn show_lease(&self, user: &User, id: &str) -> Result<Lease, Refused> {
        let (user, id) = (user.clone(), id.to_owned());
        self.look("show_lease", move |reader| {
            live_user(reader, &user)?;
            find_covered(reader, &user, &id)
        })
        .await
    }

    /// The leases that [`Self::revoke_leases`] would end now, and how many sessions with them. Ends
    /// none.
    pub async fn leases_to_revoke(
        &self,
        user: &User,
        project: Option<String>,
        which: Which,
    ) -> Result<Revoked, Refused> {
        let (user, now) = (user.clone(), self.now());
        self.look("leases_to_revoke", move |reader| {
            live_user(reader, &user)?;
            let (leases, behind) = meant(reader, &user, project.as_deref(), &which)?;
            let sessions = behind.map_or(Ok(0), |behind| count_sessions(reader, behind, &now))?;
            Ok(Revoked { leases: leases.into_iter().map(Lease::Active).collect(), sessions })
        })
        .await
    }

    /// Ends leases at once, and the sessions behind them, which would give the same again. Answers
    /// with those that this ended; once it has answered, they release nothing.
    pub async fn revoke_leases(
        &self,
        user: &User,
        project: Option<String>,
        which: Which,
        reason: String,
    ) -> Result<Revoked, Refused> {
        let subject = entries::by_user(Action::LEASE_REVOKED, user);
        let (user, entry) = (user.clone(), subject.clone());
        self.run_essential("revoke_leases", subject, move |tx| {
            live_user(tx, &user)?;
            let (leases, behind) = meant(tx, &user, project.as_deref(), &which)?;
            let reason = Some(reason.as_str()).filter(|text| visible_chars(text) > 0);
            let leases = revoke(tx, leases, &user.name, reason, &entry)?;
            let sessions = match behind {
                Some(behind) => end_sessions(tx, behind, &user, reason)?,
                None => 0,
            };
            Ok(Revoked { leases, sessions })
        })
        .await
    }
}

/// Ends these leases, each with an entry.
pub(super) fn revoke(
    tx: &mut Tx<'_>,
    leases: Vec<Active>,
    by: &str,
    reason: Option<&str>,
    entry: &vouchsafe_core::audit::Entry,
) -> Result<Vec<Lease>, Stop> {
    let mut ended = Vec::new();
    for lease in leases {
        let (by, reason) = (Some(by.to_owned()), reason.map(str::to_owned));
        let lease = lease.end(Ending::Revoked, tx.now(), by, reason);
        if tx.save_lease(&lease)? {
            tx.append(&entries::lease_ended(entry.clone(), &lease))?;
            ended.push(lease);
        }
    }
    Ok(ended)
}

/// The lease of an id that may be shortened while it is unique.
pub(super) fn find_lease(reader: &Reader<'_>, typed: &str) -> Result<Lease, Stop> {
    let prefix = LeaseId::search_prefix(typed).ok_or_else(|| not_found(typed))?;
    let ids = reader.lease_ids(&prefix)?;
    match ids.as_slice() {
        [id] => Ok(reader.lease(*id)?.ok_or_else(|| not_found(typed))?),
        [] => Err(not_found(typed).into()),
        _ => Err(Refused::new(
            Code::AmbiguousId,
            format!("more than one lease's id begins with {prefix}"),
            "Write more of its characters.",
        )
        .into()),
    }
}

/// [`find_lease`], for a person: what their reach does not cover is not there.
fn find_covered(reader: &Reader<'_>, user: &User, typed: &str) -> Result<Lease, Stop> {
    let lease = find_lease(reader, typed)?;
    if user.reach.covers(lease.terms().project) { Ok(lease) } else { Err(not_found(typed).into()) }
}

pub(super) fn not_found(typed: &str) -> Refused {
    Refused::new(
        Code::LeaseNotFound,
        format!("there is no lease `{}`", echo(typed, 40)),
        "`vouchsafe leases list` and the tool `list_leases` show which there are.",
    )
}

/// The leases that are meant, and the sessions behind them.
fn meant<'a>(
    reader: &Reader<'_>,
    user: &User,
    project: Option<&str>,
    which: &'a Which,
) -> Result<(Vec<Active>, Option<Sessions<'a>>), Stop> {
    if let Which::Id(id) = which {
        return match find_lease(reader, id)? {
            lease if !user.reach.covers(lease.terms().project) => Err(not_found(id).into()),
            Lease::Active(active) => {
                let behind = active.terms.approval.map(Sessions::Approval);
                Ok((vec![active], behind))
            }
            Lease::Ended(ended) => Err(Refused::new(
                Code::LeaseEnded,
                format!(
                    "the lease {} ended at {} ({})",
                    ended.last.terms.id,
                    ended.at,
                    ended.how.as_str()
                ),
                "There is nothing to take back.",
            )
            .into()),
        };
    }
    let project = project_or_default(reader, user, project)?;
    let (leases, behind) = match which {
        Which::ApprovedBy { user, since } => {
            let user = super::users::find(reader, user)?.id;
            let since = since.unwrap_or(UnixTime::from_ms(0));
            let leases = approved_by(reader, project.id, user, since)?;
            (leases, Sessions::ApprovedBy(project.id, user, since))
        }
        Which::Key(name) => {
            let key = reader.key_named(project.id, name)?;
            let key = key.ok_or_else(|| super::keys::not_found(name))?.key.id;
            (reader.active_leases_of(key)?, Sessions::Key(key))
        }
        Which::Resource(pattern) => {
            (reader.active_leases()?, Sessions::Pattern(project.id, pattern))
        }
        Which::Id(_) | Which::All => (reader.active_leases()?, Sessions::Project(project.id)),
    };
    let leases =
        leases.into_iter().filter(|lease| lease.terms.project == project.id).filter(|lease| {
            match which {
                Which::Resource(pattern) => pattern.matches(&lease.terms.resource),
                Which::Id(_) | Which::Key(_) | Which::ApprovedBy { .. } | Which::All => true,
            }
        });
    Ok((leases.collect(), Some(behind)))
}

/// The active leases that a person's answers gave: those of the asks they approved, and those given
/// under the sessions that came of that.
fn approved_by(
    reader: &Reader<'_>,
    project: ProjectId,
    user: UserId,
    since: UnixTime,
) -> Result<Vec<Active>, Stop> {
    let mut leases = reader.active_leases_approved_by(project, user, since)?;
    for lease in reader.active_leases_without_votes(project)? {
        let Some(id) = lease.terms.approval else { continue };
        if let Some(Approval::Approved(Approved { how: How::Session { approval }, .. })) =
            reader.approval(id)?
            && reader.has_approved(user, approval, since)?
        {
            leases.push(lease);
        }
    }
    Ok(leases)
}

fn wanted(filter: &LeaseFilter, lease: &Lease) -> bool {
    let status = match lease {
        Lease::Active(_) => LeaseStatus::Active,
        Lease::Ended(ended) => LeaseStatus::Ended(ended.how),
    };
    (filter.statuses.is_empty() || filter.statuses.contains(&status))
        && filter.resource.as_ref().is_none_or(|pattern| pattern.matches(&lease.terms().resource))
}
