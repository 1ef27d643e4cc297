//! What follows a broken glass: another person says whether it was right.

use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::ReviewId;
use vouchsafe_core::lease::Lease;
use vouchsafe_core::review::{Finding, Review, ReviewError};
use vouchsafe_core::text::{REASON_CHARS_MAX, echo, escape_untrusted, visible_chars};

use super::doors::live_user;
use super::leases::revoke;
use super::setup::project_named;
use super::{Broker, Code, Refused, Stop, entries};
use crate::store::{Reader, Tx};

/// Reviews that a list holds at most.
const LIST_MAX: u32 = 500;

impl Broker {
    /// Broken glasses as far as the user reaches, the open ones first, then the newest: 500 at most.
    pub async fn list_reviews(
        &self,
        user: &User,
        project: Option<String>,
        open: bool,
    ) -> Result<Vec<Review>, Refused> {
        let user = user.clone();
        self.look("list_reviews", move |reader| {
            live_user(reader, &user)?;
            let project = project_named(reader, &user, project.as_deref())?.map(|p| p.id);
            let mut reviews = reader.reviews(project, open, LIST_MAX)?;
            reviews.retain(|review| user.reach.covers(review.opened().project));
            Ok(reviews)
        })
        .await
    }

    /// Says of somebody else's broken glass whether it was right. Where it was not, its lease ends.
    pub async fn review_break_glass(
        &self,
        user: &User,
        id: &str,
        justified: bool,
        note: String,
    ) -> Result<Review, Refused> {
        let subject = entries::by_user(Action::GLASS_REVIEWED, user);
        if let Err(refused) = check_note(justified, &note) {
            return Err(self.refuse(subject, refused).await);
        }
        let (user, id) = (user.clone(), id.to_owned());
        let finding = Finding {
            reviewer: user.id,
            reviewer_name: user.name.clone(),
            justified,
            note: note.trim().to_owned(),
        };
        // It takes a lease back, or takes nothing and gives nothing.
        self.run_essential("review_break_glass", subject, move |tx| {
            live_user(tx, &user)?;
            review(tx, &user, &id, &finding)
        })
        .await
    }
}

/// Broken glasses that nobody has reviewed, as far as the user reaches.
pub(super) fn open_for(reader: &Reader<'_>, user: &User) -> Result<Vec<Review>, Stop> {
    let mut open = reader.reviews(None, true, LIST_MAX)?;
    open.retain(|review| user.reach.covers(review.opened().project));
    Ok(open)
}

/// What an operator should know of them, a sentence without its full stop; nothing where there are
/// none.
pub(super) fn warning(open: &[Review]) -> Option<String> {
    let oldest = open.iter().map(Review::opened).min_by_key(|opened| opened.at)?;
    let more = match open.len() {
        1 => String::new(),
        count => format!(" ({} more)", count.saturating_sub(1)),
    };
    Some(format!(
        "{} broke the glass for {} at {}, and nobody has reviewed that yet{more}",
        oldest.by_name, oldest.resource, oldest.at
    ))
}

fn review(tx: &mut Tx<'_>, user: &User, id: &str, finding: &Finding) -> Result<Review, Stop> {
    let open = match find(tx, user, id)? {
        Review::Open(open) => open,
        Review::Closed(closed) => {
            return Err(Refused::new(
                Code::ReviewClosed,
                format!(
                    "{} was reviewed by {} at {}",
                    closed.opened.id, closed.reviewer_name, closed.reviewed_at
                ),
                "That stands; `vouchsafe reviews` shows what is open.",
            )
            .into());
        }
    };
    let closed = open.review(finding.clone(), tx.now()).map_err(review_refused)?;
    let opened = closed.opened.clone();
    let review = Review::Closed(closed);
    if !tx.close_review(&review)? {
        return Err(Refused::internal().into());
    }
    let entry = about(entries::by_user(Action::GLASS_REVIEWED, user), &review);
    tx.append(&entry)?;
    if !finding.justified
        && let Some(Lease::Active(lease)) = tx.lease(opened.lease)?
        && !lease.deadline.passed(tx.now())
    {
        let entry = entries::by_user(Action::LEASE_REVOKED, user);
        revoke(tx, vec![lease], &user.name, Some("the broken glass was not justified"), &entry)?;
    }
    Ok(review)
}

fn find(reader: &Reader<'_>, user: &User, typed: &str) -> Result<Review, Stop> {
    let prefix = ReviewId::search_prefix(typed).ok_or_else(|| not_found(typed))?;
    let ids = reader.review_ids(&prefix)?;
    match ids.as_slice() {
        [id] => match reader.review(*id)? {
            Some(review) if user.reach.covers(review.opened().project) => Ok(review),
            Some(_) | None => Err(not_found(typed).into()),
        },
        [] => Err(not_found(typed).into()),
        _ => Err(Refused::new(
            Code::AmbiguousId,
            format!("more than one review's id begins with {prefix}"),
            "Write more of its characters.",
        )
        .into()),
    }
}

fn not_found(typed: &str) -> Refused {
    Refused::new(
        Code::ReviewNotFound,
        format!("there is no review `{}`", echo(typed, 40)),
        "`vouchsafe reviews` shows which there are.",
    )
}

fn check_note(justified: bool, note: &str) -> Result<(), Refused> {
    let chars = note.chars().count();
    if chars > REASON_CHARS_MAX {
        return Err(Refused::invalid(
            format!("the note has {chars} characters, and may have {REASON_CHARS_MAX}"),
            "Say it in fewer words.",
        ));
    }
    if !justified && visible_chars(note) == 0 {
        return Err(Refused::new(
            Code::ReasonNeeded,
            "a review that finds it was not right needs a note",
            "Say what was wrong, in a sentence.",
        ));
    }
    Ok(())
}

fn review_refused(error: ReviewError) -> Refused {
    Refused::new(
        Code::OwnReview,
        error.to_string(),
        "Ask another approver or an auditor (`vouchsafe reviews`).",
    )
}

/// What the log says of a review.
fn about(entry: Entry, review: &Review) -> Entry {
    let opened = review.opened();
    let entry = entry
        .project(&opened.project_name)
        .resource(&opened.resource)
        .approval(opened.approval)
        .lease(opened.lease)
        .detail("review", opened.id.to_string())
        .detail("by", opened.by_name.as_str())
        .detail("key", opened.key_name.as_str());
    match review {
        Review::Open(_) => entry,
        Review::Closed(closed) => entry
            .detail("justified", closed.justified)
            .detail("note", escape_untrusted(&closed.note).text),
    }
}
