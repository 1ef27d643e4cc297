//! One entry of the log, and the line it becomes.

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Action, LeafHash};
use crate::id::{ApprovalId, LeaseId};
use crate::time::UnixTime;

/// The longest line, in bytes, without its line feed.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// The version of the format.
const VERSION: u64 = 1;
/// The longest name or id of an actor or project, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Who did it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Actor {
    id: String,
    kind: ActorKind,
    name: String,
    proof: Proof,
    via: Via,
}

/// What kind of caller that is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A program, with an MCP key.
    Agent,
    /// A person, with a user token.
    User,
    /// The daemon itself.
    System,
}

/// How they proved who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By the value of an MCP key.
    McpKey,
    /// By a user token.
    UserToken,
    /// By a code that was sent to them, or that their own command line got.
    OneTimeCode,
    /// By a link that was sent to them, for one answer.
    OneTimeLink,
    /// By Slack, which signs what its members do.
    Slack,
    /// Not at all.
    None,
}

/// Which way they came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// MCP over HTTP.
    Http,
    /// MCP over the stdio bridge.
    Stdio,
    /// gRPC.
    Grpc,
    /// The web pages.
    Web,
    /// A button or a form in Slack.
    Slack,
    /// The HTTP call that answers an approval.
    Api,
    /// From within.
    System,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not allowed.
    Refused,
    /// It was allowed and did not work.
    Failed,
}

/// What happened, before it has a place in the log. Holds identifiers and digests, never a secret
/// value or a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    actor: Actor,
    action: Action,
    outcome: Outcome,
    project: Option<String>,
    resources: Vec<String>,
    approval: Option<ApprovalId>,
    lease: Option<LeaseId>,
    details: Map<String, Value>,
}

impl Actor {
    /// An actor; names and ids are cut after 200 characters.
    pub fn new(kind: ActorKind, id: &str, name: &str, proof: Proof, via: Via) -> Self {
        Self { id: shortened(id), kind, name: shortened(name), proof, via }
    }

    /// The daemon, doing this by itself.
    pub fn system() -> Self {
        Self::new(ActorKind::System, "system", "vouchsafed", Proof::None, Via::System)
    }

    /// Its name, by which entries are searched.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Via {
    /// As it is written in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stdio => "stdio",
            Self::Grpc => "grpc",
            Self::Web => "web",
            Self::Slack => "slack",
            Self::Api => "api",
            Self::System => "system",
        }
    }
}

impl Outcome {
    /// As it is written in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Entry {
    /// `actor` did `action`, and it went well.
    pub fn new(action: Action, actor: Actor) -> Self {
        Self {
            actor,
            action,
            outcome: Outcome::Ok,
            project: None,
            resources: Vec::new(),
            approval: None,
            lease: None,
            details: Map::new(),
        }
    }

    /// Ends as `outcome`.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Belongs to the project of this name.
    #[must_use]
    pub fn project(mut self, project: &str) -> Self {
        self.project = Some(shortened(project));
        self
    }

    /// Is also about this resource.
    #[must_use]
    pub fn resource(mut self, uri: &(impl ToString + ?Sized)) -> Self {
        self.resources.push(uri.to_string());
        self
    }

    /// Is also about these resources.
    #[must_use]
    pub fn resources<R: ToString>(mut self, uris: impl IntoIterator<Item = R>) -> Self {
        self.resources.extend(uris.into_iter().map(|uri| uri.to_string()));
        self
    }

    /// Is about this approval.
    #[must_use]
    pub fn approval(mut self, id: ApprovalId) -> Self {
        self.approval = Some(id);
        self
    }

    /// Is about this lease.
    #[must_use]
    pub fn lease(mut self, id: LeaseId) -> Self {
        self.lease = Some(id);
        self
    }

    /// Says more. A number beyond 2^53 belongs in a string: JSON readers round it.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Who did it.
    pub fn who(&self) -> &Actor {
        &self.actor
    }

    /// What was done.
    pub fn what(&self) -> Action {
        self.action
    }

    /// How it ended.
    pub fn ended(&self) -> Outcome {
        self.outcome
    }

    /// In which project.
    pub fn in_project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// About which resources.
    pub fn about(&self) -> &[String] {
        &self.resources
    }

    /// For which approval.
    pub fn for_approval(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// Under which lease.
    pub fn under_lease(&self) -> Option<LeaseId> {
        self.lease
    }

    /// The line this becomes as entry `seq`, without its line feed; `prev` is the hash of the line
    /// before, [`LeafHash::NONE`] for entry 0.
    ///
    /// A line stays within [`LINE_BYTES_MAX`]. Where it would not, the largest details give way one
    /// by one to `{"cut_bytes": .., "sha256": ..}` of their canonical JSON; then all of them to one
    /// such mark; then resources from the end, counted in the detail `cut_resources`.
    pub fn line(&self, seq: u64, time: UnixTime, prev: &LeafHash) -> Vec<u8> {
        let mut head = Map::new();
        head.insert("action".to_owned(), self.action.as_str().into());
        head.insert("actor".to_owned(), json!(self.actor));
        head.insert("outcome".to_owned(), self.outcome.as_str().into());
        head.insert("prev".to_owned(), prev.to_string().into());
        head.insert("seq".to_owned(), seq.into());
        head.insert("time".to_owned(), time.rfc3339().into());
        head.insert("v".to_owned(), VERSION.into());
        if let Some(project) = &self.project {
            head.insert("project".to_owned(), project.as_str().into());
        }
        if let Some(approval) = self.approval {
            head.insert("approval".to_owned(), approval.to_string().into());
        }
        if let Some(lease) = self.lease {
            head.insert("lease".to_owned(), lease.to_string().into());
        }
        let whole = written(&head, &self.resources, &self.details);
        if whole.len() <= LINE_BYTES_MAX { whole } else { self.cut_line(&head) }
    }

    fn cut_line(&self, head: &Map<String, Value>) -> Vec<u8> {
        let mut details = self.details.clone();
        let mut by_size: Vec<_> =
            self.details.iter().map(|(name, value)| (canonical(value).len(), name)).collect();
        by_size.sort_unstable_by(|a, b| b.cmp(a));
        for (_, name) in by_size.into_iter().take(16) {
            if let Some(value) = details.get_mut(name) {
                *value = mark(value);
            }
            let line = written(head, &self.resources, &details);
            if line.len() <= LINE_BYTES_MAX {
                return line;
            }
        }
        if !details.is_empty() {
            details = Map::from_iter([("cut".to_owned(), mark(&json!(self.details)))]);
        }
        let mut kept = self.resources.as_slice();
        loop {
            let line = written(head, kept, &details);
            if line.len() <= LINE_BYTES_MAX || kept.is_empty() {
                return line;
            }
            kept = kept.get(..kept.len() / 2).unwrap_or_default();
            let cut = self.resources.len() - kept.len();
            details.insert("cut_resources".to_owned(), cut.into());
        }
    }
}

fn written(
    head: &Map<String, Value>,
    resources: &[String],
    details: &Map<String, Value>,
) -> Vec<u8> {
    let mut line = head.clone();
    if !resources.is_empty() {
        line.insert("resources".to_owned(), json!(resources));
    }
    if !details.is_empty() {
        line.insert("details".to_owned(), json!(details));
    }
    canonical(&Value::Object(line))
}

/// RFC 8785 bytes of `value`.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "a `Value` has string keys and finite numbers only")]
    serde_json_canonicalizer::to_vec(value).expect("every JSON value has a canonical form")
}

fn mark(value: &Value) -> Value {
    let bytes = canonical(value);
    let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, &bytes).as_ref());
    json!({ "cut_bytes": bytes.len(), "sha256": sha256 })
}

fn shortened(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Actor {
        Actor::new(ActorKind::Agent, "key_1", "claude-desktop", Proof::McpKey, Via::Stdio)
    }

    fn line(entry: &Entry) -> String {
        let line = entry.line(7, UnixTime::from_ms(1_795_257_840_123), &LeafHash::NONE);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_is_canonical_json_without_absent_members() {
        let zeros = "0".repeat(64);
        assert_eq!(
            line(&Entry::new(Action::SECRET_LISTED, agent())),
            format!(
                r#"{{"action":"secret.listed","actor":{{"id":"key_1","kind":"agent","name":"claude-desktop","proof":"mcp-key","via":"stdio"}},"outcome":"ok","prev":"{zeros}","seq":7,"time":"2026-11-21T10:44:00.123Z","v":1}}"#
            )
        );
        let full = Entry::new(Action::SECRET_READ, agent())
            .outcome(Outcome::Refused)
            .project("default")
            .resource("vouchsafe://default/a")
            .approval(ApprovalId::from_random([0; 10]))
            .lease(LeaseId::from_random([0; 10]))
            .detail("z", 1)
            .detail("a", json!({"b": [true, null]}));
        assert_eq!(
            line(&full),
            format!(
                r#"{{"action":"secret.read","actor":{{"id":"key_1","kind":"agent","name":"claude-desktop","proof":"mcp-key","via":"stdio"}},"approval":"ap_0000000000000000","details":{{"a":{{"b":[true,null]}},"z":1}},"lease":"ls_0000000000000000","outcome":"refused","prev":"{zeros}","project":"default","resources":["vouchsafe://default/a"],"seq":7,"time":"2026-11-21T10:44:00.123Z","v":1}}"#
            )
        );
    }

    #[test]
    fn a_long_line_is_cut_largest_detail_first_and_says_so() {
        let entry = Entry::new(Action::SECRET_READ, agent())
            .detail("small", "kept")
            .detail("large", "x".repeat(LINE_BYTES_MAX));
        let text = line(&entry);
        assert!(text.len() <= LINE_BYTES_MAX);
        assert!(text.contains(r#""small":"kept""#));
        assert!(text.contains(&format!(r#""cut_bytes":{}"#, LINE_BYTES_MAX + 2)));

        let mut entry = Entry::new(Action::SECRET_READ, agent());
        for i in 0..5_000 {
            entry = entry.detail(&format!("k{i}"), "value").resource(&"r".repeat(1_000));
        }
        let text = line(&entry);
        assert!(text.len() <= LINE_BYTES_MAX, "{}", text.len());
        assert!(text.contains("cut_resources"));
        assert!(text.contains(r#""cut":{"cut_bytes""#));
    }

    #[test]
    fn the_longest_names_fit_in_a_line() {
        let worst = "\u{1}".repeat(10_000);
        let actor = Actor::new(ActorKind::User, &worst, &worst, Proof::UserToken, Via::Grpc);
        let entry = Entry::new(Action::DOOR_REFUSED, actor).project(&worst).detail(&worst, 1);
        assert!(line(&entry).len() <= LINE_BYTES_MAX);
    }
}
