use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_core::id::{ApprovalId, MessageId};
use vouchsafe_core::route::Event;

use super::*;

/// What somebody writes who wants a message to say more than it does.
const ATTACKS: [&str; 14] = [
    "<!channel> look",
    "<!here|all is well>",
    "<@U024BE7LH> approved",
    "<#C024BE91L>",
    "<https://evil.example|vouchsafe.example.com>",
    "https://evil.example/approve",
    "mailto:a@b.example",
    "*approved* _by_ ~nobody~ `jane`",
    "```\nblock\n```",
    "> quoted",
    ":white_check_mark: approved",
    "&lt;!channel&gt;",
    "@channel @here @everyone #general",
    "{\"type\":\"button\",\"text\":\"Approve\"}",
];

const LINK: &str = "https://vouchsafe.example.com/approvals/ap_0";

fn digest_of(byte: u8) -> ApprovalDigest {
    format!("{byte:02x}").repeat(32).parse().unwrap()
}

fn asked(facts: Vec<Fact>, whole: bool) -> Message {
    let answer = Answerable {
        approval: ApprovalId::from_random([1; 10]),
        digest: digest_of(7),
        whole,
        one_time: Some("https://vouchsafe.example.com/link/SECRET".to_owned()),
        until: UnixTime::from_ms(1_795_258_800_000),
        respond: String::new(),
    };
    Message {
        id: MessageId::from_random([2; 10]),
        event: Event::ApprovalRequested,
        at: UnixTime::from_ms(1_795_255_200_000),
        project: Some("default".to_owned()),
        to: None,
        headline: "claude asks to read vouchsafe://secrets/production/DB".to_owned(),
        body: Body::Facts {
            facts,
            answer: Some(Box::new(answer)),
            approval: Some(ApprovalId::from_random([1; 10])),
            outcome: None,
        },
        link: Some(LINK.to_owned()),
        replaces: Vec::new(),
    }
}

fn usual() -> Vec<Fact> {
    vec![
        Fact::new("Who", "claude, of ann"),
        Fact::new("Wants", "to read for 15m"),
        Fact::untrusted("Reason", "INC-1042: replica lag"),
    ]
}

fn actions(rendered: &Rendered) -> Vec<&Value> {
    let all = rendered.blocks.iter().filter(|block| block["type"] == "actions");
    all.flat_map(|block| block["elements"].as_array().unwrap()).collect()
}

fn names(rendered: &Rendered) -> Vec<&str> {
    actions(rendered).iter().map(|button| button["action_id"].as_str().unwrap()).collect()
}

/// Every text object in a message.
fn texts(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(members) if members.contains_key("text") && members["text"].is_string() => {
            vec![value]
        }
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// What Slack takes of a message, as its reference has it.
fn check_limits(rendered: &Rendered) {
    assert!(rendered.blocks.len() <= 50 && length(&rendered.text) <= 4_000);
    for block in &rendered.blocks {
        let most = match block["type"].as_str().unwrap() {
            "header" => 150,
            "section" if block.get("text").is_some() => 3_000,
            "section" => {
                let fields = block["fields"].as_array().unwrap();
                assert!((1..=10).contains(&fields.len()));
                2_000
            }
            "context" => {
                assert!((1..=10).contains(&block["elements"].as_array().unwrap().len()));
                2_000
            }
            "actions" => 75,
            other => panic!("{other}"),
        };
        for text in texts(block) {
            let text = text["text"].as_str().unwrap();
            assert!((1..=most).contains(&length(text)), "{text}");
        }
    }
}

#[test]
fn what_fits_can_be_answered_and_the_answer_says_what_was_seen() {
    let rendered = render(&asked(usual(), true), Kind::Buttons);
    check_limits(&rendered);
    assert_eq!(names(&rendered), ["vouchsafe_approve", "vouchsafe_deny", "vouchsafe_details"]);
    let buttons = actions(&rendered);
    let ticket = SlackTicket::read(buttons[0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(ticket.digest, digest_of(7));
    assert_eq!(buttons[0]["value"], buttons[1]["value"]);
    assert_eq!((&buttons[2]["url"], buttons[2].get("value")), (&json!(LINK), None));
    let mut bare = rendered.blocks.clone();
    for element in bare.last_mut().unwrap()["elements"].as_array_mut().unwrap() {
        element.as_object_mut().unwrap().remove("value");
    }
    assert_eq!(ticket.rendering, rendering(&bare));
    let all = json!(rendered.blocks).to_string();
    assert!(all.contains(&digest_of(7).short()) && !all.contains("SECRET"), "{all}");
}

#[test]
fn the_rendering_is_of_what_is_shown() {
    let of = |facts: Vec<Fact>| {
        let rendered = render(&asked(facts, true), Kind::Buttons);
        SlackTicket::read(actions(&rendered)[0]["value"].as_str().unwrap()).unwrap().rendering
    };
    assert_eq!(of(usual()), of(usual()));
    let mut other = usual();
    other[2].text.push('!');
    assert_ne!(of(usual()), of(other));
}

#[test]
fn what_is_not_shown_whole_can_only_be_looked_at() {
    let long = |chars: usize| vec![Fact::untrusted("Reason", "x".repeat(chars))];
    let cut = vec![Fact { cut: true, ..Fact::new("Arguments", "{..") }];
    let many = (0..60).map(|_| Fact::untrusted("Resource", "y")).collect();
    for (facts, whole) in [
        (usual(), false),
        (cut, true),
        (long(SECTION_CHARS_MAX + 1), true),
        (vec![Fact::new("A", "x".repeat(2_900)); 3], true),
        (many, true),
        (long(50_000), true),
        (vec![Fact::untrusted("Reason", "&".repeat(1_000))], true),
    ] {
        let rendered = render(&asked(facts, whole), Kind::Buttons);
        check_limits(&rendered);
        assert_eq!(names(&rendered), ["vouchsafe_details"]);
        assert!(json!(rendered.blocks).to_string().contains("There is more than fits here"));
    }
    let rendered = render(&asked(long(SECTION_CHARS_MAX - 1), true), Kind::Buttons);
    check_limits(&rendered);
    assert_eq!(names(&rendered).len(), 3);
}

#[test]
fn text_of_others_is_plain_text_wherever_it_stands() {
    for attack in ATTACKS {
        let mut message = asked(
            vec![
                Fact::new("Short", attack),
                Fact::untrusted("Reason", attack),
                Fact::new("Long", attack.repeat(20)),
            ],
            true,
        );
        message.headline = attack.to_owned();
        message.project = Some(attack.to_owned());
        let Body::Facts { outcome, .. } = &mut message.body else { panic!("facts") };
        *outcome = Some(attack.to_owned());
        let line = Line {
            id: message.id,
            at: message.at,
            headline: attack.to_owned(),
            link: Some(LINK.to_owned()),
            outcome: Some(attack.to_owned()),
            digest: None,
        };
        let digest = Message { body: Body::Digest(vec![line]), ..message.clone() };
        let test = Message { body: Body::Test { by: attack.to_owned() }, ..message.clone() };
        let code = Message {
            body: Body::SignIn { code: attack.to_owned(), minutes: 5 },
            ..message.clone()
        };
        for message in [message, digest, test, code] {
            for kind in [Kind::Buttons, Kind::Links] {
                check_plain(&render(&message, kind), attack);
            }
        }
    }
}

fn check_plain(rendered: &Rendered, attack: &str) {
    check_limits(rendered);
    for text in rendered.blocks.iter().flat_map(texts) {
        let said = text["text"].as_str().unwrap();
        if text["type"] == "plain_text" {
            assert_eq!(text["emoji"], false);
            assert!(!said.contains(['<', '>']), "{said}");
            let entities = ["&amp;", "&lt;", "&gt;"];
            let rest = entities.iter().fold(said.to_owned(), |text, name| text.replace(name, ""));
            assert!(!rest.contains('&'), "{said}");
        } else {
            // Ours, and nothing but ours.
            assert_eq!(text["verbatim"], true);
            assert!(!said.contains(attack) && !said.contains("evil"), "{said}");
        }
    }
    assert!(!rendered.text.contains(['<', '>']), "{}", rendered.text);
}

#[test]
fn an_approval_that_ended_has_nothing_to_press_but_details() {
    let mut message = asked(usual(), true);
    let Body::Facts { answer, outcome, .. } = &mut message.body else { panic!("facts") };
    (*answer, *outcome) = (None, Some("Denied by bob at noon: not today".to_owned()));
    let rendered = render(&message, Kind::Buttons);
    check_limits(&rendered);
    assert_eq!(names(&rendered), ["vouchsafe_details"]);
    assert!(rendered.text.contains("Denied by bob"), "{}", rendered.text);
    assert_eq!(rendered.blocks[1]["text"]["text"], "Denied by bob at noon: not today");
}

#[test]
fn a_webhooks_message_has_a_link_and_no_buttons() {
    let rendered = render(&asked(usual(), true), Kind::Links);
    check_limits(&rendered);
    assert!(actions(&rendered).is_empty());
    let last = rendered.blocks.last().unwrap();
    assert_eq!(last["text"]["text"], format!("<{LINK}|Details>"));
}

#[test]
fn a_link_that_is_none_of_ours_is_left_out() {
    for odd in ["javascript:alert(1)", "https://x/|y", "https://x/<", "https://x/ y", "ftp://x", ""]
    {
        let message = Message { link: Some(odd.to_owned()), ..asked(usual(), true) };
        for kind in [Kind::Buttons, Kind::Links] {
            let all = json!(render(&message, kind).blocks).to_string();
            assert!(odd.is_empty() || !all.contains(odd), "{all}");
            assert!(!all.contains("vouchsafe_details") && !all.contains("|Details>"));
        }
    }
}

#[test]
fn a_digest_has_its_newest_lines() {
    let line = |number: i64| Line {
        id: MessageId::from_random([3; 10]),
        at: UnixTime::from_ms(number * 60_000),
        headline: format!("line {number}"),
        link: Some(LINK.to_owned()),
        outcome: Some("Approved by bob".to_owned()),
        digest: Some(digest_of(7)),
    };
    let body = Body::Digest((0..100).map(line).collect());
    let rendered = render(&Message { body, ..asked(Vec::new(), true) }, Kind::Buttons);
    check_limits(&rendered);
    let all = json!(rendered.blocks).to_string();
    assert!(all.contains("81 older messages") && all.contains("line 99"), "{all}");
    assert!(all.contains(&format!("Digest `{}`", digest_of(7).short())), "{all}");
    assert!(!all.contains("\"line 80\"") && all.contains("line 81"));
}
