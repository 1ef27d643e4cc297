//! A bot: it posts, changes what it has posted, opens forms, and answers who presses something.

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};
use vouchsafe_core::route::{Again, Channel, Message, Receipt, SlackAct, SlackTicket, Undelivered};

use super::api::Api;
use super::blocks::{Kind, Rendered, render};
use super::signature::SigningSecret;
use super::text::{escape_within, mrkdwn, plain};
use crate::notify::Carrier;

/// Where Slack takes what is said to who pressed something.
const HOOKS_HOST: &str = "hooks.slack.com";
/// The longest text of an answer to who pressed something.
const REPLY_CHARS_MAX: usize = 2_000;
/// The longest reason, in characters, as for every other vote.
const REASON_CHARS_MAX: usize = 2_000;

/// The channel `slack:NAME` where it is a bot.
pub(super) struct Bot {
    channel: Channel,
    api: Api,
    signing: SigningSecret,
    /// Where it posts; none: to each person.
    place: Option<String>,
    /// The workspace; none: any.
    team: Option<String>,
}

/// What a bot is made of.
pub(super) struct Parts {
    pub(super) channel: Channel,
    pub(super) api: Api,
    pub(super) signing: SigningSecret,
    pub(super) place: Option<String>,
    pub(super) team: Option<String>,
}

impl Bot {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { channel, api, signing, place, team } = parts;
        Self { channel, api, signing, place, team }
    }

    pub(super) const fn signing(&self) -> &SigningSecret {
        &self.signing
    }

    pub(super) fn team(&self) -> Option<&str> {
        self.team.as_deref()
    }

    /// Asks who pressed Deny for a reason. `about`: what they deny, in a line. `short`: its digest.
    /// `ticket`: what the form brings back.
    pub(super) async fn ask_reason(
        &self,
        trigger: &str,
        (about, short): (&str, &str),
        ticket: &str,
    ) -> Result<(), Undelivered> {
        let (about, _) = escape_within(about, REPLY_CHARS_MAX);
        let view = json!({
            "type": "modal",
            "callback_id": SlackAct::Deny.as_str(),
            "private_metadata": ticket,
            "title": plain("Deny"),
            "submit": plain("Deny"),
            "close": plain("Cancel"),
            "blocks": [
                { "type": "section", "text": plain(&about) },
                { "type": "context", "elements": [mrkdwn(&format!("Digest `{short}`"))] },
                {
                    "type": "input",
                    "block_id": SlackTicket::REASON,
                    "label": plain("Reason"),
                    "hint": plain("It reaches the agent, and stands in the log."),
                    "element": {
                        "type": "plain_text_input",
                        "action_id": SlackTicket::REASON,
                        "multiline": true,
                        "min_length": 1,
                        "max_length": REASON_CHARS_MAX,
                    },
                },
            ],
        });
        let body = json!({ "trigger_id": trigger, "view": view });
        self.api.call("views.open", &body).await.map(drop)
    }

    /// Says something to who pressed something, and to nobody else.
    pub(super) async fn tell(&self, url: &str, text: &str) -> Result<(), Undelivered> {
        self.check(url)?;
        let (text, _) = escape_within(text, REPLY_CHARS_MAX);
        let body = json!({
            "response_type": "ephemeral",
            "replace_original": false,
            "text": text,
            "blocks": [{ "type": "section", "text": plain(&text) }],
            "mrkdwn": false,
        });
        self.api.post(url, &body).await
    }

    /// Takes the buttons from a message that was pressed too late, and says in it what came before.
    pub(super) async fn close(
        &self,
        url: &str,
        mut blocks: Vec<Value>,
        outcome: &str,
    ) -> Result<(), Undelivered> {
        self.check(url)?;
        let (outcome, _) = escape_within(outcome, REPLY_CHARS_MAX);
        for block in &mut blocks {
            keep_links(block);
        }
        blocks.retain(|block| block.get("elements") != Some(&json!([])));
        blocks.push(json!({ "type": "section", "text": plain(&outcome) }));
        let body = json!({
            "replace_original": true,
            "text": outcome,
            "blocks": blocks,
            "mrkdwn": false,
        });
        self.api.post(url, &body).await
    }

    /// Slack gave the address, and gave it through whoever pressed: it leads to Slack, or nowhere.
    fn check(&self, url: &str) -> Result<(), Undelivered> {
        let given = Url::parse(url).ok();
        let base = Url::parse(self.api.base()).ok();
        let leads = given.zip(base).is_some_and(|(given, base)| {
            let slack = given.scheme() == "https"
                && given.host_str() == Some(HOOKS_HOST)
                && given.port().is_none();
            let plain = given.username().is_empty() && given.password().is_none();
            plain && (slack || given.origin() == base.origin())
        });
        if leads {
            return Ok(());
        }
        Err(Undelivered::never("the response address does not lead to Slack"))
    }

    async fn send(&self, message: &Message) -> Result<Receipt, Undelivered> {
        let rendered = render(message, Kind::Buttons);
        let mut updated = None;
        for handle in &message.replaces {
            match self.update(handle, message, &rendered).await {
                Ok(receipt) => updated = Some(receipt),
                // Somebody removed that one, or it is too old to be changed.
                Err(gone) if gone.again == Again::Never => {}
                Err(failed) => return Err(failed),
            }
        }
        match updated {
            Some(receipt) => Ok(receipt),
            None => self.post(message, &rendered).await,
        }
    }

    async fn post(&self, message: &Message, rendered: &Rendered) -> Result<Receipt, Undelivered> {
        let person = message.to.as_ref().map(|person| person.address.as_str());
        let Some(place) = self.place.as_deref().or(person) else {
            return Err(Undelivered::never("there is nobody to send it to"));
        };
        let mut body = body(message, place, rendered);
        body.insert("unfurl_links".to_owned(), json!(false));
        body.insert("unfurl_media".to_owned(), json!(false));
        let answer = self.api.call("chat.postMessage", &Value::Object(body)).await?;
        let handle = handle(&answer);
        let said = match &handle {
            Some(_) => "Slack took it".to_owned(),
            None => "Slack took it, and does not say as what: it cannot be changed".to_owned(),
        };
        Ok(Receipt { handle, said })
    }

    async fn update(
        &self,
        handle: &str,
        message: &Message,
        rendered: &Rendered,
    ) -> Result<Receipt, Undelivered> {
        let Some((channel, ts)) = handle.split_once(':') else {
            return Err(Undelivered::never("the earlier message has no place and time"));
        };
        let mut body = body(message, channel, rendered);
        body.insert("ts".to_owned(), json!(ts));
        self.api.call("chat.update", &Value::Object(body)).await?;
        let said = "Slack changed the earlier message".to_owned();
        Ok(Receipt { handle: Some(handle.to_owned()), said })
    }
}

/// What both kinds of call say. The id in the metadata is how a reader knows a double.
fn body(message: &Message, channel: &str, rendered: &Rendered) -> serde_json::Map<String, Value> {
    let body = json!({
        "channel": channel,
        "text": rendered.text,
        "blocks": rendered.blocks,
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "metadata": {
            "event_type": "vouchsafe",
            "event_payload": { "id": message.id.to_string() },
        },
    });
    if let Value::Object(body) = body { body } else { serde_json::Map::new() }
}

/// `CHANNEL:TS`, of the answer to a post.
fn handle(answer: &Value) -> Option<String> {
    let is_id = |text: &str| {
        (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    let part = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| is_id(text));
    Some(format!("{}:{}", part("channel")?, part("ts")?))
}

/// Takes away what can be pressed and is no link.
fn keep_links(block: &mut Value) {
    if block.get("type").and_then(Value::as_str) == Some("actions")
        && let Some(elements) = block.get_mut("elements").and_then(Value::as_array_mut)
    {
        elements.retain(|element| element.get("url").is_some());
    }
}

impl Carrier for Bot {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        self.send(message).boxed()
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot").field("channel", &self.channel).finish_non_exhaustive()
    }
}
