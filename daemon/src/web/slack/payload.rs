//! What Slack sends, as far as it matters here. It may hold more.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vouchsafe_core::route::{SlackAct, SlackId, SlackTicket};

/// The most blocks of a message that are kept.
const BLOCKS_MAX: usize = 50;
/// The longest address for an answer, in bytes.
const URL_BYTES_MAX: usize = 1_000;

/// One request of Slack's.
#[derive(Debug)]
pub(super) struct Payload {
    /// Who did it.
    pub(super) member: SlackId,
    /// Every workspace that it names: where it was done, and whose member did it.
    teams: Vec<String>,
    /// What they did.
    pub(super) done: Done,
}

/// What somebody did.
#[derive(Debug)]
pub(super) enum Done {
    /// They pressed a button of ours.
    Pressed(Press),
    /// They sent a form of ours.
    Submitted(Form),
    /// Nothing that we carry out: they follow a link, say, or close a form.
    Nothing,
}

/// A button that was pressed.
#[derive(Debug)]
pub(super) struct Press {
    /// Yes or no.
    pub(super) act: SlackAct,
    /// What it is about; none: the button is not one of this daemon's.
    pub(super) ticket: Option<SlackTicket>,
    /// What a form is opened with.
    pub(super) trigger: String,
    /// Where answers go.
    pub(super) respond: Option<String>,
    /// The message that it is in.
    pub(super) blocks: Vec<Value>,
}

/// A form that was sent.
#[derive(Debug)]
pub(super) struct Form {
    /// What it is about; none: it is not one of this daemon's.
    pub(super) slip: Option<Slip>,
    /// The reason.
    pub(super) reason: String,
}

/// What a form carries.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slip {
    /// What it is about.
    pub(super) ticket: SlackTicket,
    /// Where answers go.
    pub(super) respond: Option<String>,
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "type")]
    kind: String,
    user: SentUser,
    #[serde(default)]
    team: Option<SentTeam>,
    #[serde(default)]
    trigger_id: String,
    #[serde(default)]
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<SentAction>,
    #[serde(default)]
    message: Option<SentMessage>,
    #[serde(default)]
    view: Option<SentView>,
}

#[derive(Deserialize)]
struct SentUser {
    id: String,
    #[serde(default)]
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct SentTeam {
    id: String,
}

#[derive(Deserialize)]
struct SentAction {
    #[serde(default)]
    action_id: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct SentMessage {
    #[serde(default)]
    blocks: Vec<Value>,
}

#[derive(Deserialize)]
struct SentView {
    #[serde(default)]
    callback_id: String,
    #[serde(default)]
    private_metadata: String,
    #[serde(default)]
    state: Value,
}

impl Payload {
    /// Reads a request's body: one field `payload`, with JSON.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut fields = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
        let (Some((_, json)), None) = (fields.next(), fields.next()) else { return None };
        let sent: Sent = serde_json::from_str(&json).ok()?;
        let member = sent.user.id.parse().ok()?;
        let teams = [sent.team.as_ref().map(|team| team.id.clone()), sent.user.team_id.clone()];
        let teams = teams.into_iter().flatten().collect();
        Some(Self { member, teams, done: done(sent) })
    }

    /// Whether it is all of this workspace, or of any where none is given.
    pub(super) fn is_of(&self, team: Option<&str>) -> bool {
        team.is_none_or(|team| !self.teams.is_empty() && self.teams.iter().all(|is| is == team))
    }

    /// Where answers go.
    pub(super) fn respond(&self) -> Option<&str> {
        match &self.done {
            Done::Pressed(press) => press.respond.as_deref(),
            Done::Submitted(form) => form.slip.as_ref()?.respond.as_deref(),
            Done::Nothing => None,
        }
    }
}

impl Slip {
    /// As a form carries it.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn done(sent: Sent) -> Done {
    match sent.kind.as_str() {
        "block_actions" => pressed(sent).map_or(Done::Nothing, Done::Pressed),
        "view_submission" => submitted(sent).map_or(Done::Nothing, Done::Submitted),
        _ => Done::Nothing,
    }
}

fn pressed(sent: Sent) -> Option<Press> {
    let action = sent.actions.into_iter().next()?;
    let act = SlackAct::named(&action.action_id).filter(|act| *act != SlackAct::Details)?;
    let mut blocks = sent.message.map(|message| message.blocks).unwrap_or_default();
    blocks.truncate(BLOCKS_MAX);
    Some(Press {
        act,
        ticket: SlackTicket::read(&action.value),
        trigger: sent.trigger_id,
        respond: sent.response_url.filter(|url| url.len() <= URL_BYTES_MAX),
        blocks,
    })
}

fn submitted(sent: Sent) -> Option<Form> {
    let view = sent.view?;
    if SlackAct::named(&view.callback_id) != Some(SlackAct::Deny) {
        return None;
    }
    let field = format!("/values/{0}/{0}/value", SlackTicket::REASON);
    let reason = view.state.pointer(&field).and_then(Value::as_str).unwrap_or_default();
    let slip = serde_json::from_str(&view.private_metadata).ok();
    Some(Form { slip, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &Value) -> Option<Payload> {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &json.to_string())
            .finish();
        Payload::read(body.as_bytes())
    }

    #[test]
    fn a_link_that_is_followed_and_what_is_not_ours_are_nothing() {
        let user = json!({ "id": "U1" });
        for sent in [
            json!({ "type": "block_actions", "user": user, "actions": [
                { "action_id": "vouchsafe_details" }] }),
            json!({ "type": "block_actions", "user": user, "actions": [{ "action_id": "other" }] }),
            json!({ "type": "block_actions", "user": user }),
            json!({ "type": "view_closed", "user": user }),
            json!({ "type": "view_submission", "user": user, "view": { "callback_id": "x" } }),
        ] {
            assert!(matches!(read(&sent).unwrap().done, Done::Nothing), "{sent}");
        }
    }

    #[test]
    fn a_request_is_one_payload_of_a_member() {
        let sent = json!({ "type": "block_actions", "user": { "id": "U1" } }).to_string();
        let once = format!("payload={sent}");
        assert!(Payload::read(once.as_bytes()).is_some());
        for bad in [
            String::new(),
            "payload=".to_owned(),
            "payload={}".to_owned(),
            format!("{once}&{once}"),
            once.replace("payload", "other"),
            once.replace("U1", "<@U1>"),
        ] {
            assert!(Payload::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_workspace_that_is_named_is_the_one() {
        let of = |team: Value, user: Value| {
            read(&json!({ "type": "x", "team": team, "user": user })).unwrap()
        };
        let ours = of(json!({ "id": "T1" }), json!({ "id": "U1", "team_id": "T1" }));
        assert!(ours.is_of(Some("T1")) && ours.is_of(None) && !ours.is_of(Some("T2")));
        let guest = of(json!({ "id": "T1" }), json!({ "id": "U1", "team_id": "T2" }));
        assert!(!guest.is_of(Some("T1")) && !guest.is_of(Some("T2")) && guest.is_of(None));
        let nowhere = of(Value::Null, json!({ "id": "U1" }));
        assert!(!nowhere.is_of(Some("T1")) && nowhere.is_of(None));
    }
}
