//! Messages to people, one of each kind, with whatever an agent could put into them.
#![expect(clippy::unwrap_used, reason = "a message that cannot be made is a failed test")]

use vouchsafe_core::id::{ApprovalId, MessageId};
use vouchsafe_core::route::{Answerable, Body, Event, Fact, Line, Message, Recipient};
use vouchsafe_core::text::echo;
use vouchsafe_core::time::UnixTime;

/// What a one-time link ends with.
pub const TOKEN: &str = "vs_link_2c8fKd93hD02";
/// What an agent could write to pass for somebody else. It is shown as it is escaped.
pub const ATTACK: &str = "ok</div><script>alert(1)</script><a href=\"https://evil.example/\">Approve</a>\r\n\
                      Bcc: all@example.com\r\n\r\n--boundary\u{202e}live\u{200b} =?utf-8?q?x?= \
                      &lt;b&gt; {{ 7*7 }}";

/// The approval that they are about.
pub fn approval() -> ApprovalId {
    ApprovalId::from_random([7; 10])
}

/// A message to ann.
pub fn message(number: u8, event: Event, headline: &str, body: Body) -> Message {
    Message {
        id: MessageId::from_random([number; 10]),
        event,
        at: UnixTime::parse_rfc3339("2026-11-21T10:44:00.123Z").unwrap(),
        project: Some("default".to_owned()),
        to: Some(Recipient { name: "ann".to_owned(), address: "ann@example.com".to_owned() }),
        headline: headline.to_owned(),
        body,
        link: Some(format!("https://vault.example.com/approvals/{}", approval())),
        replaces: Vec::new(),
    }
}

/// An approval is asked for; not all of it is in the message.
pub fn asks(number: u8) -> Message {
    let facts = vec![
        Fact::new("Who", "the agent with key claude, owned by ann, in project default"),
        Fact::untrusted("Client", "claims to be Claude; over http from 10.0.0.1"),
        Fact::new("Resource", "vouchsafe://secrets/production/DATABASE_URL, version 3"),
        Fact::untrusted("Reason", echo(ATTACK, 2_000)),
        Fact { cut: true, ..Fact::untrusted("Arguments", "{\"query\":\"select 1\"}") },
    ];
    let answer = Answerable {
        approval: approval(),
        digest: "5f".repeat(32).parse().unwrap(),
        whole: false,
        one_time: Some(format!("https://vault.example.com/link/{TOKEN}")),
        until: UnixTime::parse_rfc3339("2026-11-21T11:44:00Z").unwrap(),
        respond: format!("https://vault.example.com/v1/approvals/{}/respond", approval()),
    };
    let answer = Some(Box::new(answer));
    let body = Body::Facts { facts, answer, approval: Some(approval()), outcome: None };
    let headline = "claude asks to read vouchsafe://secrets/production/DATABASE_URL";
    message(number, Event::ApprovalRequested, headline, body)
}

/// It was approved.
pub fn decided(number: u8) -> Message {
    let facts = vec![Fact::new("Who", "the agent with key claude")];
    let outcome = Some("Approved by bob at 2026-11-21T10:50:00.000Z".to_owned());
    let body = Body::Facts { facts, answer: None, approval: Some(approval()), outcome };
    let headline = "Approved: claude asks to read vouchsafe://secrets/production/DATABASE_URL";
    message(number, Event::ApprovalDecided, headline, body)
}

/// One of each kind.
pub fn all_kinds() -> Vec<Message> {
    let line = |number, outcome: Option<&str>| Line {
        id: MessageId::from_random([number; 10]),
        at: UnixTime::parse_rfc3339("2026-11-21T09:00:00Z").unwrap(),
        headline: format!("claude asks to read vouchsafe://secrets/production/KEY_{number}"),
        link: Some("https://vault.example.com/approvals/x".to_owned()),
        outcome: outcome.map(str::to_owned),
        digest: None,
    };
    let lines = vec![line(1, None), line(2, Some("Denied by bob: <b>not today</b>"))];
    let code = Body::SignIn { code: "482-913".to_owned(), minutes: 10 };
    vec![
        asks(11),
        decided(12),
        message(
            13,
            Event::ApprovalRequested,
            "2 messages since the last digest",
            Body::Digest(lines),
        ),
        message(14, Event::Alert, "Your code is 482-913", code),
        message(
            15,
            Event::Alert,
            "A test of the channel email",
            Body::Test { by: "ann".to_owned() },
        ),
    ]
}
