//! What people do in Slack: `POST /slack/actions`.
//!
//! Slack signs what it sends, and says in it which member pressed what. Nothing of that is believed
//! but with the signature of an app of ours, and of now. Slack wants an answer within 3 seconds, so
//! a press is taken at once and carried out beside it; a form waits for its outcome a while.

mod answers;
mod payload;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;
use vouchsafe_core::route::{ChannelName, Undelivered};

use self::payload::{Done, Payload};
use super::refusal;
use crate::broker::{Broker, Code, Refused};
use crate::tasks::Tasks;

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The longest time, as digits.
const TIMESTAMP_DIGITS_MAX: usize = 12;
/// Answers that are carried out at once at most.
const UNDER_WAY_MAX: usize = 100;
const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";

/// Our apps in Slack: who signed a request, and what is said back.
pub trait SlackApps: fmt::Debug + Send + Sync {
    /// The channels whose app signed this; none: nobody of ours did. Which part of it is wrong,
    /// nobody is told.
    fn signed_by(&self, timestamp: &str, body: &[u8], signature: &str) -> Vec<SlackApp>;

    /// Asks who pressed Deny for a reason. The form brings the ticket back.
    fn ask_reason<'a>(
        &'a self,
        app: &'a ChannelName,
        trigger: &'a str,
        form: &'a SlackForm,
    ) -> BoxFuture<'a, Result<(), Undelivered>>;

    /// Says something to who pressed something, and to nobody else. `url` is where Slack says that
    /// this goes; one that does not lead to Slack is refused.
    fn tell<'a>(
        &'a self,
        app: &'a ChannelName,
        url: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), Undelivered>>;

    /// Takes the buttons from a message that was pressed too late. `blocks`: the message as it is.
    fn close<'a>(
        &'a self,
        app: &'a ChannelName,
        url: &'a str,
        blocks: Vec<Value>,
        outcome: &'a str,
    ) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// An app that signed a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlackApp {
    /// Whose app it is.
    pub channel: ChannelName,
    /// The workspace whose members it is for; none: any.
    pub team: Option<String>,
}

/// What a form shows and brings back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlackForm {
    /// What is denied, in a line.
    pub headline: String,
    /// The short digest of it.
    pub digest: String,
    /// What comes back with the reason.
    pub ticket: String,
}

/// The apps, and what carries presses out.
#[derive(Clone, Debug)]
pub struct Slack {
    /// The apps.
    pub apps: Arc<dyn SlackApps>,
    /// Where presses are carried out.
    pub tasks: Tasks,
}

/// All that the route needs.
#[derive(Clone, Debug)]
struct Door {
    broker: Broker,
    slack: Slack,
    /// Places for answers that are carried out.
    under_way: Arc<Semaphore>,
}

/// The one route; none where there is no app.
pub(super) fn router(broker: &Broker, slack: Option<Slack>) -> Router {
    let Some(slack) = slack else { return Router::new() };
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let door = Door { broker: broker.clone(), slack, under_way };
    Router::new().route("/slack/actions", post(actions)).with_state(door)
}

async fn actions(State(door): State<Door>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return door.refuse(Code::InvalidArgument, "the request is over 64 KiB, or broke off");
    };
    let apps = door.signed(&head.headers, &body);
    if apps.is_empty() {
        return door.refuse(Code::Unauthenticated, "no app of ours signed this, or not now");
    }
    let Some(payload) = Payload::read(&body) else {
        return door.refuse(Code::InvalidArgument, "the request is none that Slack makes");
    };
    if matches!(payload.done, Done::Nothing) {
        return ok();
    }
    let Ok(permit) = Arc::clone(&door.under_way).try_acquire_owned() else {
        return door.refuse(Code::StoreBusy, "too many answers from Slack are under way");
    };
    let channel = match apps.iter().find(|app| payload.is_of(app.team.as_deref())) {
        Some(app) => app.channel.clone(),
        None => return door.other_team(payload, apps, permit).await,
    };
    match payload.done {
        Done::Pressed(press) => {
            let task = door.clone().press(channel, payload.member, press);
            door.slack.tasks.spawn("slack_press", task.map(move |()| drop(permit)));
            ok()
        }
        Done::Submitted(form) => door.submit(channel, (payload.member, form), permit).await,
        Done::Nothing => ok(),
    }
}

impl Door {
    /// The apps that signed a request just now.
    fn signed(&self, headers: &HeaderMap, body: &Bytes) -> Vec<SlackApp> {
        let (Some(timestamp), Some(signature)) = (one(headers, TIMESTAMP), one(headers, SIGNATURE))
        else {
            return Vec::new();
        };
        let digits = timestamp.len() <= TIMESTAMP_DIGITS_MAX
            && timestamp.bytes().all(|b| b.is_ascii_digit());
        let fresh = digits && timestamp.parse().is_ok_and(|at| self.broker.is_fresh(at));
        // Asked for what is too old as well, so that how long it takes tells nothing.
        let mut apps = self.slack.apps.signed_by(timestamp, body, signature);
        apps.retain(|_| fresh);
        apps
    }

    fn refuse(&self, code: Code, message: &str) -> Response {
        let refused = Refused::new(code, message, "");
        self.broker.refuse_door("slack", &refused);
        refusal::answer(&refused)
    }
}

/// The value of a header that is there once.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    only.to_str().ok()
}

/// Taken; an empty answer closes a form.
fn ok() -> Response {
    StatusCode::OK.into_response()
}
