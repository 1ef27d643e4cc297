//! What comes of a press or a form: a vote, and a word to who gave it.

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use vouchsafe_core::approval::{Approval, Ballot, Narrowing};
use vouchsafe_core::route::{
    ChannelName, Event, SlackAct, SlackId, SlackTicket, Undelivered, telling,
};
use vouchsafe_core::text::limit_chars;

use super::payload::{Form, Payload, Press, Slip};
use super::{Door, SlackApp, SlackForm, ok};
use crate::broker::{ApprovalView, Code, Refused, VoteCommand};

/// How long a form waits for its outcome: Slack gives it 3 seconds, the way there and back
/// included.
const FORM_WAITS: Duration = Duration::from_millis(2_000);
/// How much is said beside a field, in characters.
const BESIDE_CHARS_MAX: usize = 500;

impl Door {
    /// Tells somebody of another workspace, and the log, that they are nobody here.
    pub(super) async fn other_team(
        &self,
        payload: Payload,
        apps: Vec<SlackApp>,
        permit: OwnedSemaphorePermit,
    ) -> Response {
        let refused = self.broker.refuse_team(&payload.member).await;
        if let (Some(app), Some(url)) = (apps.into_iter().next(), payload.respond()) {
            let (door, url, text) = (self.clone(), url.to_owned(), sentences(&refused));
            self.slack.tasks.spawn("slack_refusal", async move {
                door.tell(&app.channel, Some(&url), &text).await;
                drop(permit);
            });
        }
        ok()
    }

    /// Carries out what a button says.
    pub(super) async fn press(self, app: ChannelName, member: SlackId, press: Press) {
        let respond = press.respond.clone();
        let refused = match self.carry_out(&app, &member, &press).await {
            Ok(None) => return,
            Ok(Some(said)) => return self.tell(&app, respond.as_deref(), &said).await,
            Err(refused) => refused,
        };
        self.tell(&app, respond.as_deref(), &sentences(&refused)).await;
        if matches!(refused.code, Code::ApprovalSettled | Code::ApprovalExpired)
            && let Some(url) = respond
            && !press.blocks.is_empty()
        {
            let outcome = sentence(&refused.message);
            noted(self.slack.apps.close(&app, &url, press.blocks, &outcome).await);
        }
    }

    /// What is said to who pressed; nothing where a form is open now.
    async fn carry_out(
        &self,
        app: &ChannelName,
        member: &SlackId,
        press: &Press,
    ) -> Result<Option<String>, Refused> {
        let ticket = press.ticket.as_ref().ok_or_else(not_ours)?;
        if press.act == SlackAct::Approve {
            let yes = Ballot::Approve(Narrowing::default());
            return self.vote(member, ticket, yes, String::new()).await.map(Some);
        }
        let (user, _) = self.broker.slack_user(member).await?;
        let view = self.broker.answerable(&user, ticket).await?;
        let slip = Slip { ticket: ticket.clone(), respond: press.respond.clone() };
        let form = SlackForm {
            headline: telling::headline(Event::ApprovalRequested, &view.approval),
            digest: ticket.digest.short(),
            ticket: slip.write(),
        };
        match self.slack.apps.ask_reason(app, &press.trigger, &form).await {
            Ok(()) => Ok(None),
            Err(failed) => {
                noted(Err(failed));
                Err(Refused::new(
                    Code::Internal,
                    "the form for your reason does not open, and nothing was denied",
                    "Press Deny again, or answer on the page behind Details.",
                ))
            }
        }
    }

    /// Denies with the reason of a form. What is wrong with it is said beside the field.
    pub(super) async fn submit(
        &self,
        app: ChannelName,
        (member, form): (SlackId, Form),
        permit: OwnedSemaphorePermit,
    ) -> Response {
        let Some(slip) = form.slip else { return beside_field(&not_ours()) };
        let (tell, told) = oneshot::channel();
        let door = self.clone();
        // Beside the request: a vote that was begun is brought to its end.
        self.slack.tasks.spawn("slack_form", async move {
            let _permit = permit;
            let voted = door.vote(&member, &slip.ticket, Ballot::Deny, form.reason).await;
            let said = match voted {
                Ok(said) => {
                    // An error means that nobody waits any more; they are told below.
                    drop(tell.send(Ok(())));
                    said
                }
                Err(refused) => match tell.send(Err(refused)) {
                    Ok(()) => return,
                    Err(unheard) => unheard.err().as_ref().map(sentences).unwrap_or_default(),
                },
            };
            door.tell(&app, slip.respond.as_deref(), &said).await;
        });
        match tokio::time::timeout(FORM_WAITS, told).await {
            Ok(Ok(Err(refused))) => beside_field(&refused),
            Ok(Ok(Ok(())) | Err(_)) | Err(_) => ok(),
        }
    }

    /// Takes the answer, and says what came of it.
    async fn vote(
        &self,
        member: &SlackId,
        ticket: &SlackTicket,
        ballot: Ballot,
        reason: String,
    ) -> Result<String, Refused> {
        let (user, _) = self.broker.slack_user(member).await?;
        let command = VoteCommand {
            id: ticket.approval.to_string(),
            ballot,
            reason,
            digest: ticket.digest.to_string(),
            rendering: Some(ticket.rendering.clone()),
        };
        let (view, _) = self.broker.vote(&user, command).await?;
        Ok(counted(&view))
    }

    async fn tell(&self, app: &ChannelName, url: Option<&str>, text: &str) {
        if let Some(url) = url {
            noted(self.slack.apps.tell(app, url, text).await);
        }
    }
}

/// What an answer came to.
fn counted(view: &ApprovalView) -> String {
    if let Some(outcome) = telling::outcome(&view.approval) {
        return format!("Your answer counts, and settles it. {outcome}.");
    }
    let factors = view.progress.iter().flat_map(|progress| &progress.factors);
    let missing: u32 = factors.map(|factor| factor.count.saturating_sub(factor.met)).sum();
    match (&view.approval, missing) {
        (Approval::Pending(_), 2..) => {
            format!("Your answer counts. It needs {missing} more people.")
        }
        _ => "Your answer counts. It needs one more person.".to_owned(),
    }
}

fn not_ours() -> Refused {
    Refused::invalid(
        "this button is of another version of the daemon, or of another app",
        "Answer on the page behind Details, or with `vouchsafe approve` and `vouchsafe deny`.",
    )
}

fn sentences(refused: &Refused) -> String {
    let said = sentence(&refused.message);
    if refused.next.is_empty() { said } else { format!("{said} {}", refused.next) }
}

fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let mut sentence: String = first.chain(chars).collect();
    sentence.push('.');
    sentence
}

/// What keeps a form open, with what is wrong.
fn beside_field(refused: &Refused) -> Response {
    let said = limit_chars(&sentences(refused), BESIDE_CHARS_MAX);
    let body = json!({ "response_action": "errors", "errors": { SlackTicket::REASON: said } });
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A word to somebody that does not arrive is worth a line; what it is about is done all the same.
fn noted(said: Result<(), Undelivered>) {
    if let Err(failed) = said {
        tracing::warn!(why = failed.why, "somebody who answered in Slack could not be told");
    }
}
