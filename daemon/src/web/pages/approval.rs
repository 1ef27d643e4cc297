//! One approval: all that is known of it, and the answer.

mod answer;
mod card;

use std::fmt;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use vouchsafe_core::approval::{Approval, Ballot};
use vouchsafe_core::caller::{Role, User};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::route::DeliveryStatus;
use vouchsafe_core::time::UnixTime;

use self::answer::Form;
pub(super) use self::answer::command;
use self::card::shown;
pub(super) use self::card::{Card, headline};
use super::Pages;
use super::form::{Fields, Posted};
use super::gate::Place;
use super::layout::{Answer, Shell, page, refused_page, see_other, status};
use super::session::Visitor;
use super::words::{Moment, count, moment};
use crate::broker::{ApprovalView, Broker, Delivery, Held, Refused, StoredEntry};

/// The longest id that is looked for.
const ID_BYTES_MAX: usize = 40;

#[derive(Template)]
#[template(path = "pages/approval.html")]
struct ApprovalPage<'a> {
    shell: Shell,
    /// The card, written: what the answer's `rendering` is the hash of.
    evidence: String,
    /// What came of their own answer, or of everybody's.
    notice: Option<String>,
    problem: Option<&'a Refused>,
    form: Option<Form>,
    deliveries: Vec<Sent>,
    entries: Vec<Logged>,
    /// The page's own address; none: it is behind a link, and does not look again by itself.
    here: Option<String>,
    link: bool,
    /// The time, in milliseconds: what is shown is beside it.
    now: i64,
}

/// One message about it.
struct Sent {
    event: &'static str,
    channel: String,
    to: String,
    status: &'static str,
    /// What it waits for, or how often it was tried; empty: nothing is to be said of it.
    how: String,
    /// When it is tried next.
    due: Option<Moment>,
    at: Moment,
    /// Why the last try failed.
    problem: String,
}

/// One entry of the log about it.
struct Logged {
    seq: u64,
    at: Moment,
    action: String,
    actor: String,
    proof: String,
    outcome: String,
}

/// What is beside the card.
#[derive(Default)]
pub(super) struct Beside {
    deliveries: Vec<Sent>,
    entries: Vec<Logged>,
}

/// How somebody came to an approval's page.
pub(super) struct Seen<'a> {
    pub(super) broker: &'a Broker,
    pub(super) user: &'a User,
    pub(super) shell: Shell,
    /// Where their answer goes; none: they may not give one.
    pub(super) action: Option<String>,
    /// They came by a link that answers once.
    pub(super) link: bool,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/approvals/{id}", get(show).post(vote))
}

async fn show(Path(id): Path<String>, visitor: Visitor) -> Answer {
    let user = visitor.at(Place::Approval).await?;
    let view = look(&visitor.broker, &user, &id).await;
    let view = view.map_err(|refused| visitor.turned(&refused))?;
    Ok(approval_page(&visitor, &view, None, &Fields::default()).await)
}

async fn vote(Path(id): Path<String>, posted: Posted) -> Answer {
    let Posted { visitor, fields } = posted;
    let user = visitor.at(Place::Answer).await?;
    let view = look(&visitor.broker, &user, &id).await;
    let view = view.map_err(|refused| visitor.turned(&refused))?;
    let command = command(&visitor.broker, &user, &view, &fields);
    let counted = match command {
        Ok(command) => visitor.broker.vote(&user, command).await,
        Err(refused) => Err(refused),
    };
    match counted {
        Ok((view, _)) => Ok(see_other(&format!("/approvals/{}", view.approval.ask().id))),
        Err(refused) => {
            // As it is by now.
            let view = look(&visitor.broker, &user, &id).await.unwrap_or(view);
            Ok(approval_page(&visitor, &view, Some(&refused), &fields).await)
        }
    }
}

/// An approval that is looked for by its whole id, or by the beginning of it.
async fn look(broker: &Broker, user: &User, id: &str) -> Result<ApprovalView, Refused> {
    let id: String = id.chars().take(ID_BYTES_MAX).collect();
    broker.show_approval(user, &id).await
}

async fn approval_page(
    visitor: &Visitor,
    view: &ApprovalView,
    problem: Option<&Refused>,
    typed: &Fields,
) -> Response {
    let ask = view.approval.ask();
    let shell = Shell::inside(&headline(ask), visitor, Place::Approval);
    let may = view.may_vote.is_ok()
        && Place::Answer.check(&visitor.record).is_ok_and(|reach| reach.covers(ask.project));
    let seen = Seen {
        broker: &visitor.broker,
        user: &visitor.user,
        shell,
        action: may.then(|| format!("/approvals/{}", ask.id)),
        link: false,
    };
    let beside = beside(visitor, view).await;
    write(seen, view, problem, typed, beside)
}

/// The page, for whoever came in whichever way.
pub(super) fn write(
    seen: Seen<'_>,
    view: &ApprovalView,
    problem: Option<&Refused>,
    typed: &Fields,
    beside: Beside,
) -> Response {
    let now = seen.broker.wall();
    let card = Card::of(view, now);
    let Ok(evidence) = card.render() else {
        return refused_page(seen.shell, &Refused::internal());
    };
    let rendering = HEXLOWER.encode(digest(&SHA256, evidence.as_bytes()).as_ref());
    let pending = matches!(view.approval, Approval::Pending(_));
    let form = seen.action.as_ref().filter(|_| pending);
    let form = form.map(|action| Form::new(seen.broker, seen.user, view, action, rendering, typed));
    let template = ApprovalPage {
        shell: seen.shell,
        evidence,
        notice: notice(view, seen.user, now),
        problem,
        form,
        deliveries: beside.deliveries,
        entries: beside.entries,
        here: (!seen.link).then(|| format!("/approvals/{}", view.approval.ask().id)),
        link: seen.link,
        now: now.ms(),
    };
    page(problem.map_or(StatusCode::OK, |refused| status(refused.code.kind())), &template)
}

/// What came of it, for somebody who has answered or comes too late.
fn notice(view: &ApprovalView, user: &User, now: UnixTime) -> Option<String> {
    let own = view.approval.votes().iter().find(|vote| vote.voter == user.id).map(|vote| {
        let said = if matches!(vote.ballot, Ballot::Deny) { "denied" } else { "approved" };
        format!("You {said} this {}.", moment(vote.at, now).near)
    });
    let settled = match &view.approval {
        Approval::Pending(_) => own.as_ref().map(|_| "More answers are needed.".to_owned()),
        Approval::Approved(approved) => {
            let names: Vec<_> = approved.votes.iter().map(|vote| shown(&vote.voter_name)).collect();
            (!names.is_empty()).then(|| format!("It was approved by {}.", names.join(", ")))
        }
        Approval::Denied(denied) => Some(format!("It was denied by {}.", shown(&denied.by))),
        Approval::Expired(expired) => Some(format!("It expired: {}.", expired.cause.explain())),
        Approval::Withdrawn(gone) => Some(format!("It was taken back by {}.", shown(&gone.by))),
    };
    let parts: Vec<_> = own.into_iter().chain(settled).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The messages about it, and the entries of the log, for whoever may see these.
async fn beside(visitor: &Visitor, view: &ApprovalView) -> Beside {
    let ask = view.approval.ask();
    let now = visitor.broker.wall();
    let audits = visitor.record.reach(&[Role::Auditor]).covers(ask.project);
    let entries = if audits { entries(visitor, ask.id).await } else { Vec::new() };
    Beside {
        deliveries: view.deliveries.iter().map(|delivery| sent(delivery, now)).collect(),
        entries: entries.iter().rev().filter_map(|entry| logged(entry, now)).collect(),
    }
}

async fn entries(visitor: &Visitor, id: ApprovalId) -> Vec<StoredEntry> {
    match visitor.at(Place::Audit).await {
        // Without them the page is whole enough.
        Ok(user) => visitor.broker.entries_about(&user, id).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn sent(delivery: &Delivery, now: UnixTime) -> Sent {
    let tries = count(u64::from(delivery.attempts), "try", "tries");
    let (how, waits) = match (delivery.status, delivery.attempts, delivery.held) {
        (DeliveryStatus::Queued, 0, Held::Quiet) => ("waits for quiet hours to end".into(), true),
        (DeliveryStatus::Queued, 0, Held::Digest) => ("waits for the next digest".into(), true),
        (DeliveryStatus::Queued, 0, Held::No) => ("waits to be sent".to_owned(), false),
        (DeliveryStatus::Queued, ..) => (format!("{tries}, again"), true),
        (DeliveryStatus::Failed, ..) => (format!("after {tries}"), false),
        (DeliveryStatus::Sent | DeliveryStatus::Answered, ..) => (String::new(), false),
    };
    Sent {
        event: delivery.event.as_str(),
        channel: delivery.channel.to_string(),
        to: delivery.user_name.as_deref().map(shown).unwrap_or_default(),
        status: delivery.status.as_str(),
        how,
        due: delivery.due_at.filter(|_| waits).map(|due| moment(due, now)),
        at: moment(delivery.settled_at.unwrap_or(delivery.queued_at), now),
        problem: delivery.problem.as_deref().map(shown).unwrap_or_default(),
    }
}

fn logged(entry: &StoredEntry, now: UnixTime) -> Option<Logged> {
    let line: Value = serde_json::from_str(&entry.line).ok()?;
    let text = |pointer: &str| {
        line.pointer(pointer).and_then(Value::as_str).map(shown).unwrap_or_default()
    };
    let at = UnixTime::parse_rfc3339(&text("/time"))?;
    let via = [text("/actor/proof"), text("/actor/via")];
    Some(Logged {
        seq: entry.seq,
        at: moment(at, now),
        action: text("/action"),
        actor: text("/actor/name"),
        proof: via.join(" over "),
        outcome: text("/outcome"),
    })
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("link", &self.link).finish_non_exhaustive()
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").finish_non_exhaustive()
    }
}
