//! Sessions: what people approved for a key's session time, and how that ends before its time.

use vouchsafe_core::approval::{Approval, How, Session};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::User;
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId, UserId};
use vouchsafe_core::policy::AnyRule;
use vouchsafe_core::resource::Pattern;
use vouchsafe_core::text::escape_untrusted;
use vouchsafe_core::time::{Now, UnixTime};

use super::doors::live_user;
use super::setup::project_named;
use super::{Broker, Refused, Stop, entries};
use crate::store::{Reader, Tx};

/// Sessions that a list holds at most.
const LIST_MAX: usize = 500;

/// A session, for people.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// Its project's name.
    pub project: String,
}

/// Which sessions are to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sessions<'a> {
    /// All of this key.
    Key(KeyId),
    /// All of this project.
    Project(ProjectId),
    /// Those that this approval gave, or that it was given under.
    Approval(ApprovalId),
    /// Those of this project whose rule may have to do with a resource that this matches.
    Pattern(ProjectId, &'a Pattern),
    /// Those of this project that this person's answers gave, at this time or later.
    ApprovedBy(ProjectId, UserId, UnixTime),
}

impl Broker {
    /// The sessions that last, the longest first, 500 at most: of a project, or of a key of one.
    pub async fn list_sessions(
        &self,
        user: &User,
        project: Option<String>,
        key: Option<String>,
    ) -> Result<Vec<SessionView>, Refused> {
        let (user, now, loaded) = (user.clone(), self.now(), self.inner.policy.current());
        self.look("list_sessions", move |reader| {
            live_user(reader, &user)?;
            let project = project_named(reader, &user, project.as_deref())?.map(|p| p.id);
            let open = reader.sessions_open(project, None, None)?.into_iter();
            let views = open
                .filter(|(session, name)| {
                    let rule = loaded.of(name).rule(&session.rule);
                    let stands = rule.is_some_and(|placed| match &placed.rule {
                        AnyRule::Allow(rule) => rule.digest().to_string() == session.rule_digest,
                        AnyRule::Deny(_) => false,
                    });
                    // One whose rule has changed remembers nothing.
                    stands && !session.until.passed(&now) && user.reach.covers(session.project)
                })
                .filter(|(session, _)| key.as_ref().is_none_or(|key| *key == session.holder_name))
                .map(|(session, project)| SessionView { session, project });
            Ok(views.take(LIST_MAX).collect())
        })
        .await
    }
}

/// Ends sessions before their time, each with an entry. Answers how many.
pub(super) fn end_sessions(
    tx: &mut Tx<'_>,
    which: Sessions<'_>,
    by: &User,
    reason: Option<&str>,
) -> Result<u32, Stop> {
    let now = tx.now().clone();
    let mut ended = 0_u32;
    for (session, project) in meant(tx, which)? {
        // One whose time is up has ended by itself: it is only put away.
        if !tx.end_session(&session, now.wall)? || session.until.passed(&now) {
            continue;
        }
        let mut entry = entries::by_user(Action::SESSION_ENDED, by)
            .project(&project)
            .approval(session.approval)
            .detail("key", session.holder_name.as_str())
            .detail("rule", session.rule.as_str())
            .detail("operation", session.operation.as_str())
            .detail("until", session.until.wall.rfc3339());
        if let Some(reason) = reason {
            entry = entry.detail("reason", escape_untrusted(reason).text);
        }
        tx.append(&entry)?;
        ended = ended.saturating_add(1);
    }
    Ok(ended)
}

/// How many sessions [`end_sessions`] would end.
pub(super) fn count_sessions(
    reader: &Reader<'_>,
    which: Sessions<'_>,
    now: &Now,
) -> Result<u32, Stop> {
    let open = meant(reader, which)?.into_iter().filter(|(session, _)| !session.until.passed(now));
    Ok(u32::try_from(open.count()).unwrap_or(u32::MAX))
}

/// The sessions that are meant and that nobody has ended, each with its project's name.
fn meant(reader: &Reader<'_>, which: Sessions<'_>) -> Result<Vec<(Session, String)>, Stop> {
    match which {
        Sessions::Key(key) => Ok(reader.sessions_open(None, Some(key), None)?),
        Sessions::Project(project) => Ok(reader.sessions_open(Some(project), None, None)?),
        Sessions::Approval(approval) => {
            // What a session gives again at once is not taken back by ending one lease of it.
            let given_under = match reader.approval(approval)? {
                Some(Approval::Approved(approved)) => match approved.how {
                    How::Session { approval } => Some(approval),
                    How::People | How::Automatic { .. } | How::BreakGlass { .. } => None,
                },
                Some(_) | None => None,
            };
            Ok(reader.sessions_open(None, None, Some(given_under.unwrap_or(approval)))?)
        }
        Sessions::ApprovedBy(project, user, since) => {
            let mut meant = Vec::new();
            for (session, name) in reader.sessions_open(Some(project), None, None)? {
                if reader.has_approved(user, session.approval, since)? {
                    meant.push((session, name));
                }
            }
            Ok(meant)
        }
        Sessions::Pattern(project, pattern) => {
            let mut meant = Vec::new();
            for (session, name) in reader.sessions_open(Some(project), None, None)? {
                if concerns(reader, &session, pattern)? {
                    meant.push((session, name));
                }
            }
            Ok(meant)
        }
    }
}

/// Whether the rule of a session, as it stood when it was given, may be for what a pattern matches.
fn concerns(reader: &Reader<'_>, session: &Session, pattern: &Pattern) -> Result<bool, Stop> {
    let approval = reader.approval(session.approval)?;
    let items = approval.as_ref().map(|approval| approval.ask().items.as_slice());
    let mut rules = items.unwrap_or_default().iter().map(|item| &item.rule);
    // A rule that is not found could be for anything.
    Ok(rules
        .find(|rule| rule.name.as_str() == session.rule)
        .is_none_or(|rule| rule.resource.overlaps(pattern)))
}
