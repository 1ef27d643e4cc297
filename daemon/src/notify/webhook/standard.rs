//! Our own JSON, for other programs: the shape that Standard Webhooks recommends.
//!
//! What is here is kept: within [`VERSION`], members are added and none is taken away or changed.

use serde::Serialize;
use serde_json::Value;
use vouchsafe_core::route::{Answerable, Body, Fact, Line, Message};

/// The version of the shape.
const VERSION: u32 = 1;

/// The whole body.
#[derive(Debug, Serialize)]
struct Payload<'m> {
    /// [`VERSION`].
    version: u32,
    /// What happened: the event's name, or `test` where somebody tries the channel.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it happened, RFC 3339 in UTC.
    timestamp: String,
    /// The same as the header `webhook-id`, in each try.
    id: String,
    /// The project; null where it is about none.
    project: Option<&'m str>,
    data: Data<'m>,
}

/// What is told. All text is safe to show as it is; it is no HTML and no Markdown.
#[derive(Debug, Default, Serialize)]
struct Data<'m> {
    /// One line.
    headline: &'m str,
    /// What there is to know, the most important first.
    facts: Vec<Told<'m>>,
    /// The approval it is about; null where it is about none.
    approval_id: Option<String>,
    /// How the approval ended, in a sentence; null where it has not.
    outcome: Option<&'m str>,
    /// The page about it; null where there is none.
    link: Option<&'m str>,
    /// How to answer; null where there is nothing to answer.
    answer: Option<Answer<'m>>,
    /// Several messages as one, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Earlier<'m>>,
    /// Who tries the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'m str>,
}

/// One thing to know.
#[derive(Debug, Serialize)]
struct Told<'m> {
    /// What it is.
    label: &'m str,
    /// One line of text.
    text: &'m str,
    /// An agent's words, or its client's claim: nobody has checked them.
    untrusted: bool,
    /// There is more of it than is said here.
    cut: bool,
}

/// How to answer an approval.
#[derive(Debug, Serialize)]
struct Answer<'m> {
    /// What an answer has to carry, 64 hexadecimal digits.
    digest: String,
    /// What people compare.
    short_digest: String,
    /// Whether all of what is approved is among the facts; if not, look at the page first.
    whole: bool,
    /// Until when, RFC 3339 in UTC.
    until: String,
    /// Where to send the answer: a POST with a user token.
    respond: &'m str,
}

/// One of several messages.
#[derive(Debug, Serialize)]
struct Earlier<'m> {
    id: String,
    timestamp: String,
    headline: &'m str,
    outcome: Option<&'m str>,
    link: Option<&'m str>,
    short_digest: Option<String>,
}

/// The body; none for a code that is one person's.
pub(super) fn body(message: &Message) -> Option<Value> {
    let base = Data {
        headline: &message.headline,
        link: message.link.as_deref(),
        approval_id: message.approval().map(|id| id.to_string()),
        ..Data::default()
    };
    let (kind, data) = match &message.body {
        Body::Facts { facts, answer, outcome, .. } => {
            let answer = answer.as_deref().map(answer_of);
            let facts = facts.iter().map(told).collect();
            let outcome = outcome.as_deref();
            (message.event.as_str(), Data { facts, outcome, answer, ..base })
        }
        Body::Digest(lines) => {
            (message.event.as_str(), Data { messages: lines.iter().map(line).collect(), ..base })
        }
        Body::Test { by } => ("test", Data { by: Some(by), ..base }),
        Body::SignIn { .. } => return None,
    };
    let payload = Payload {
        version: VERSION,
        kind,
        timestamp: message.at.rfc3339(),
        id: message.id.to_string(),
        project: message.project.as_deref(),
        data,
    };
    serde_json::to_value(payload).ok()
}

fn told(fact: &Fact) -> Told<'_> {
    let Fact { label, text, untrusted, cut } = fact;
    Told { label, text, untrusted: *untrusted, cut: *cut }
}

fn line(line: &Line) -> Earlier<'_> {
    Earlier {
        id: line.id.to_string(),
        timestamp: line.at.rfc3339(),
        headline: &line.headline,
        outcome: line.outcome.as_deref(),
        link: line.link.as_deref(),
        short_digest: line.digest.map(|digest| digest.short()),
    }
}

fn answer_of(answer: &Answerable) -> Answer<'_> {
    Answer {
        digest: answer.digest.to_string(),
        short_digest: answer.digest.short(),
        whole: answer.whole,
        until: answer.until.rfc3339(),
        respond: &answer.respond,
    }
}
