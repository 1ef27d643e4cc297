//! What waits for people: first what they may answer.

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use vouchsafe_core::approval::Approval;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::UnixTime;

use super::Pages;
use super::approval::headline;
use super::gate::Place;
use super::layout::{Answer, Shell, page};
use super::session::Visitor;
use super::words::{Moment, moment};
use crate::broker::ApprovalView;

/// Characters of a reason; the whole is on the approval's page.
const REASON_CHARS_MAX: usize = 240;

#[derive(Template)]
#[template(path = "pages/inbox.html")]
struct InboxPage {
    shell: Shell,
    /// What they may answer.
    theirs: Vec<Waiting>,
    /// What others may.
    others: Vec<Waiting>,
    /// There is more than is shown.
    more: bool,
    /// The time, in milliseconds: what is shown is beside it.
    now: i64,
}

/// One approval that waits.
struct Waiting {
    id: String,
    headline: String,
    reason: String,
    by_agent: bool,
    project: String,
    rule: String,
    expires: Moment,
    asked: Moment,
    so_far: String,
    stopped: bool,
    why_not: String,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/inbox", get(show))
}

async fn show(visitor: Visitor) -> Answer {
    let user = visitor.at(Place::Inbox).await?;
    let found = visitor.broker.waiting_approvals(&user, None).await;
    let (found, more) = found.map_err(|refused| visitor.turned(&refused))?;
    let now = visitor.broker.wall();
    let answers = Place::Answer.check(&visitor.record).ok();
    let may = |view: &ApprovalView| {
        let project = view.approval.ask().project;
        view.may_vote.is_ok() && answers.as_ref().is_some_and(|reach| reach.covers(project))
    };
    let (theirs, others): (Vec<_>, Vec<_>) = found.iter().partition(|view| may(view));
    let rows = |views: Vec<&ApprovalView>| -> Vec<Waiting> {
        let mut rows: Vec<_> = views.into_iter().filter_map(|view| waiting(view, now)).collect();
        // What ends first is first.
        rows.sort_by(|a, b| a.expires.exact.cmp(&b.expires.exact));
        rows
    };
    let title = match theirs.len() {
        0 => "Inbox".to_owned(),
        count => format!("Inbox ({count})"),
    };
    let shell = Shell::inside(&title, &visitor, Place::Inbox);
    let template =
        InboxPage { shell, theirs: rows(theirs), others: rows(others), more, now: now.ms() };
    Ok(page(StatusCode::OK, &template))
}

impl InboxPage {
    /// What somebody hears who does not see the list change.
    fn tally(&self) -> String {
        match (self.theirs.len(), self.others.len()) {
            (0, 0) => "Nothing waits.".to_owned(),
            (theirs, 0) => format!("{} for you to answer.", some(theirs)),
            (0, others) => format!("{} for others to answer.", some(others)),
            (theirs, others) => {
                format!("{} for you to answer, and {others} for others.", some(theirs))
            }
        }
    }
}

/// `1 approval waits`, `2 approvals wait`.
fn some(count: usize) -> String {
    if count == 1 { "1 approval waits".to_owned() } else { format!("{count} approvals wait") }
}

fn waiting(view: &ApprovalView, now: UnixTime) -> Option<Waiting> {
    let Approval::Pending(pending) = &view.approval else { return None };
    let ask = &pending.ask;
    let (met, needed) = view
        .progress
        .iter()
        .flat_map(|progress| &progress.factors)
        .fold((0, 0), |(met, needed), factor| (met + factor.met, needed + factor.count));
    let reason = ask.reason.as_ref().map(|reason| echo(&reason.shown().text, REASON_CHARS_MAX));
    Some(Waiting {
        id: ask.id.to_string(),
        headline: headline(ask),
        reason: reason.unwrap_or_default(),
        by_agent: ask.asker.key.is_some(),
        project: ask.project_name.clone(),
        rule: ask.items.first().map(|item| item.rule.name.to_string()).unwrap_or_default(),
        expires: moment(pending.deadline().wall, now),
        asked: moment(ask.asked_at, now),
        so_far: if needed > 1 { format!("{met} of {needed} so far") } else { String::new() },
        stopped: pending.is_stopped(),
        why_not: view.may_vote.as_ref().err().cloned().unwrap_or_default(),
    })
}
