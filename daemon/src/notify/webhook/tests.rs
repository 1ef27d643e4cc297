use std::collections::BTreeSet;

use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_core::id::{ApprovalId, MessageId};
use vouchsafe_core::route::{Again, Answerable, Body, Event, Fact, Line};
use vouchsafe_core::time::UnixTime;

use super::*;

fn approval() -> ApprovalId {
    ApprovalId::from_random([7; 10])
}

fn digest() -> ApprovalDigest {
    "ab".repeat(32).parse().unwrap()
}

/// Somebody is asked, and an agent says this.
fn asks(reason: &str) -> Message {
    let facts = vec![Fact::new("Who", "claude-desktop"), Fact::untrusted("Reason", reason)];
    let answer = Answerable {
        approval: approval(),
        digest: digest(),
        whole: true,
        one_time: None,
        until: UnixTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap(),
        respond: format!("https://v.example/v1/approvals/{}/respond", approval()),
    };
    Message {
        id: MessageId::from_random([1; 10]),
        event: Event::ApprovalRequested,
        at: UnixTime::parse_rfc3339("2026-11-21T09:00:00Z").unwrap(),
        project: Some("default".to_owned()),
        to: None,
        headline: "claude-desktop asks to read vouchsafe://secrets/production/DB".to_owned(),
        body: Body::Facts {
            facts,
            answer: Some(Box::new(answer)),
            approval: Some(approval()),
            outcome: None,
        },
        link: Some(format!("https://v.example/approvals/{}", approval())),
        replaces: Vec::new(),
    }
}

fn with(body: Body) -> Message {
    Message { body, ..asks("") }
}

/// Every text in a JSON value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn answered(status: u16, retry_after: Option<u64>) -> Result<Receipt, Undelivered> {
    let status = StatusCode::from_u16(status).unwrap();
    let retry_after = retry_after.map(Duration::from_secs);
    judge("x.y", &Answer { status, body: b"https://x.y/s3cret".to_vec(), retry_after })
}

#[test]
fn a_status_says_whether_it_was_taken_and_whether_to_try_again() {
    for status in [200, 201, 202, 204] {
        assert_eq!(answered(status, None).unwrap().handle, None);
    }
    for (status, retry_after, again) in [
        (301, None, Again::Never),
        (302, Some(5), Again::Never),
        (308, None, Again::Never),
        (410, None, Again::Never),
        (400, None, Again::Message(None)),
        (401, None, Again::Message(None)),
        (404, None, Again::Message(None)),
        (413, Some(9), Again::Message(Some(Duration::from_secs(9)))),
        (429, None, Again::Channel(None)),
        (429, Some(7), Again::Channel(Some(Duration::from_secs(7)))),
        (500, None, Again::Channel(None)),
        (503, Some(60), Again::Channel(Some(Duration::from_secs(60)))),
    ] {
        let failed = answered(status, retry_after).unwrap_err();
        assert_eq!(failed.again, again, "{status}");
        assert!(failed.why.contains(&status.to_string()) && !failed.why.contains("s3cret"));
    }
}

#[test]
fn a_program_is_told_all_of_it() {
    let id = approval();
    let digest = digest();
    assert_eq!(
        standard::body(&asks("the deploy fails")).unwrap(),
        serde_json::json!({
            "version": 1,
            "type": "approval.requested",
            "timestamp": "2026-11-21T09:00:00.000Z",
            "id": MessageId::from_random([1; 10]).to_string(),
            "project": "default",
            "data": {
                "headline": "claude-desktop asks to read vouchsafe://secrets/production/DB",
                "facts": [
                    { "label": "Who", "text": "claude-desktop", "untrusted": false, "cut": false },
                    {
                        "label": "Reason", "text": "the deploy fails", "untrusted": true,
                        "cut": false,
                    },
                ],
                "approval_id": id.to_string(),
                "outcome": null,
                "link": format!("https://v.example/approvals/{id}"),
                "answer": {
                    "digest": digest.to_string(),
                    "short_digest": digest.short(),
                    "whole": true,
                    "until": "2026-11-21T10:00:00.000Z",
                    "respond": format!("https://v.example/v1/approvals/{id}/respond"),
                },
            },
        })
    );
}

#[test]
fn a_code_to_sign_in_with_is_for_nobody_who_looks() {
    let code = with(Body::SignIn { code: "123456".to_owned(), minutes: 5 });
    let discord = Template::Discord;
    let ntfy = Template::Ntfy { topic: "t".to_owned() };
    for template in [&discord, &ntfy, &Template::Teams] {
        assert_eq!(template.body(&code), None);
    }
    assert_eq!(standard::body(&code), None);
}

#[test]
fn each_app_is_told_the_digest_the_time_and_the_page() {
    let message = asks("the deploy fails");
    for body in [
        ntfy::body(&message, "t").unwrap(),
        teams::body(&message).unwrap(),
        discord::body(&message).unwrap(),
    ] {
        let texts = texts(&body);
        // Discord has a backslash before each sign.
        let all = texts.join("\n").replace('\\', "");
        for part in [
            digest().short().as_str(),
            "2026-11-21T10:00:00",
            "the deploy fails",
            "says the agent",
            "default",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(texts.contains(message.link.as_ref().unwrap()), "{texts:?}");
    }
    let whole = asks("x");
    let Body::Facts { facts, answer, approval, outcome } = whole.body.clone() else { panic!() };
    let answer = answer.map(|answer| Box::new(Answerable { whole: false, ..*answer }));
    let part = Message { body: Body::Facts { facts, answer, approval, outcome }, ..whole };
    let body = ntfy::body(&part, "t").unwrap();
    assert!(texts(&body).join("\n").contains("Not all is here: open the page"), "{body}");
}

#[test]
fn what_an_agent_says_is_text_in_each_app() {
    let attack = "**bold** @everyone <@123> [here](https://evil.example) `x` {{DATE(x)}} # <b>";
    let message = asks(attack);
    let discord = discord::body(&message).unwrap();
    assert_eq!(discord["allowed_mentions"], serde_json::json!({ "parse": [] }));
    let said = &discord["embeds"][0]["fields"][3]["value"];
    let said = said.as_str().unwrap();
    assert!(
        said.starts_with("\\*\\*bold\\*\\* \\@everyone \\<\\@123\\> \\[here\\]\\(https\\:\\/\\/")
    );
    assert_eq!(said.replace('\\', ""), attack);
    // Teams: no text is where Markdown is.
    let teams = teams::body(&message).unwrap();
    let card = &teams["attachments"][0]["content"];
    let kinds: BTreeSet<_> = card["body"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].clone())
        .map(|kind| kind.to_string())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["\"RichTextBlock\"".to_owned()]));
    assert!(texts(&teams).contains(&attack.replace("{{", "{ {")), "{teams}");
    let ntfy = ntfy::body(&message, "t").unwrap();
    assert!(ntfy.get("markdown").is_none() && texts(&ntfy).join("").contains(attack));
}

#[test]
fn each_app_is_told_no_more_than_it_takes() {
    let long = "*".repeat(5_000);
    let mut message = asks(&long);
    message.headline.clone_from(&long);
    if let Body::Facts { facts, .. } = &mut message.body {
        facts.extend((0..60).map(|_| Fact::new("Resource", long.clone())));
    }
    let ntfy = ntfy::body(&message, "t").unwrap();
    let text = ntfy["message"].as_str().unwrap();
    assert!(text.len() <= 4_000 && text.ends_with("… (cut)"), "{} bytes", text.len());
    let teams = teams::body(&message).unwrap().to_string();
    assert!(teams.len() < 28 * 1_024 && teams.contains("more on the page"), "{}", teams.len());
    let discord = discord::body(&message).unwrap();
    let embed = &discord["embeds"][0];
    let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
    let fields = embed["fields"].as_array().unwrap();
    let mut all = units(&embed["title"]);
    assert!(all <= 256 && fields.len() <= 25);
    for field in fields {
        let (name, value) = (units(&field["name"]), units(&field["value"]));
        assert!((1..=256).contains(&name) && (1..=1_024).contains(&value), "{field}");
        all += name + value;
    }
    assert!(all <= 6_000, "{all}");
    assert_eq!(fields.last().unwrap()["name"], "… (cut)");
    // Many short ones: places run out before room does.
    if let Body::Facts { facts, .. } = &mut message.body {
        for fact in facts {
            "x".clone_into(&mut fact.text);
        }
    }
    let discord = discord::body(&message).unwrap();
    let fields = discord["embeds"][0]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 25);
    assert_eq!(fields[24]["value"], "41 more on the page");
}

#[test]
fn a_digest_and_a_test_are_told_too() {
    let line = Line {
        id: MessageId::from_random([2; 10]),
        at: UnixTime::parse_rfc3339("2026-11-21T08:00:00Z").unwrap(),
        headline: "somebody asks".to_owned(),
        link: None,
        outcome: Some("Denied".to_owned()),
        digest: Some(digest()),
    };
    let short = digest().short();
    let digest = with(Body::Digest(vec![line]));
    let told = standard::body(&digest).unwrap();
    assert_eq!(told["data"]["messages"][0]["outcome"], "Denied");
    assert_eq!(told["data"]["messages"][0]["short_digest"], short);
    let texts = texts(&ntfy::body(&digest, "t").unwrap()).join("\n");
    assert!(texts.contains("somebody asks") && texts.contains(&short), "{texts}");
    let test = with(Body::Test { by: "ann".to_owned() });
    let told = standard::body(&test).unwrap();
    assert_eq!((&told["type"], &told["data"]["by"]), (&"test".into(), &"ann".into()));
    assert_eq!(ntfy::body(&test, "t").unwrap()["priority"], 2);
}
