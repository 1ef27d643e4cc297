//! Who is told what, over which channel, and when: through e-mail and webhooks that are there.

use std::time::Duration;

use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::{
    CreateKeyRequest, CreateProjectRequest, DeliveryStatus, PutSecretRequest, Role,
    UpdateUserRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::hook::{Received, Receiver};
use vouchsafe_tests::smtp::{SmtpServer, Tls};

use crate::minutes;

/// The rule of production, with who is escalated to and what limits its channels.
pub(crate) fn rules(more: &str) -> String {
    format!(
        "[[rule]]\nname = \"Production\"\nresource = \"vouchsafe://secrets/production/*\"\n\
         operations = [\"list\", \"use\", \"read\"]\napprovers = [\"group:oncall\"]\n\
         pending_for = \"8h\"\n{more}\n"
    )
}

/// A daemon whose people have addresses, and are told by e-mail alone.
pub(crate) async fn mailing(smtp: &SmtpServer, rules: &str) -> TestDaemon {
    let daemon = TestDaemon::builder()
        .settings(&smtp.settings(""))
        .rules(rules)
        .block_for(Duration::ZERO)
        .start()
        .await;
    for name in ["ann", "bob", "cat", "dan"] {
        prefers(
            &daemon,
            UpdateUserRequest {
                name: name.to_owned(),
                email: format!("{name}@example.com"),
                set_email: true,
                ..UpdateUserRequest::default()
            },
        )
        .await;
    }
    daemon
}

pub(crate) async fn prefers(daemon: &TestDaemon, change: UpdateUserRequest) {
    daemon.admin().users().update_user(change).await.unwrap();
}

/// Whom a mail went to, and its subject.
pub(crate) fn mails(smtp: &SmtpServer) -> Vec<(String, String)> {
    let mut all: Vec<_> = smtp
        .taken()
        .iter()
        .map(|mail| {
            let text = String::from_utf8_lossy(&mail.raw).replace("\r\n ", " ");
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            let to = mail.to.trim_matches(['<', '>']).to_owned();
            (to, subject.unwrap_or_default().trim().to_owned())
        })
        .collect();
    all.sort();
    all
}

/// The names of whom mails went to, once there are so many of them.
pub(crate) async fn told(smtp: &SmtpServer, count: usize) -> Vec<String> {
    smtp.arrived(count).await;
    let to = mails(smtp).into_iter().map(|(to, _)| to.replace("@example.com", ""));
    to.collect()
}

#[tokio::test]
async fn who_may_answer_is_asked_and_who_was_asked_and_the_owner_hear_how_it_ended() {
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules("")).await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    // The key is ann's: she cannot answer, and dan is not on call.
    assert_eq!(told(&smtp, 2).await, ["bob", "cat"]);
    let bob = daemon.grpc("bob");
    // A mail has come before it is noted that it was sent.
    eventually("that both were sent", || async {
        let shown = bob.show(&asked).await.unwrap().deliveries;
        let sent = shown.iter().filter(|message| message.status() == DeliveryStatus::Sent);
        (sent.count() == 2).then_some(())
    })
    .await;
    let approval = bob.show(&asked).await.unwrap();
    bob.deny(&approval, "use staging").await.unwrap();
    assert_eq!(told(&smtp, 4).await, ["ann", "bob", "cat", "cat"]);
    let shown = eventually("what became of the messages", || async {
        let shown = bob.show(&asked).await.unwrap().deliveries;
        let open = shown.iter().any(|message| message.status() == DeliveryStatus::Queued);
        (shown.len() == 4 && !open).then_some(shown)
    })
    .await;
    let answered: Vec<_> = shown
        .iter()
        .filter(|message| message.status() == DeliveryStatus::Answered)
        .map(|message| message.user.as_str())
        .collect();
    assert_eq!(answered, ["bob"]);
}

#[tokio::test]
async fn quiet_hours_hold_what_can_wait_and_escalations_wake_people() {
    let smtp = SmtpServer::start(Tls::None).await;
    let more = "escalate_after = \"20m\"\nescalate_to = [\"dan\"]\n";
    let daemon = mailing(&smtp, &rules(more)).await;
    // The test's clock stands at ten.
    for name in ["bob", "dan"] {
        prefers(
            &daemon,
            UpdateUserRequest {
                name: name.to_owned(),
                quiet_hours: "09:00-12:00 UTC".to_owned(),
                ..UpdateUserRequest::default()
            },
        )
        .await;
    }
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    assert_eq!(told(&smtp, 1).await, ["cat"]);
    let held = daemon.admin().show(&asked).await.unwrap().deliveries;
    let held: Vec<_> = held.iter().filter(|message| message.user == "bob").collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].due_at.unwrap().seconds - held[0].queued_at.unwrap().seconds, 2 * 3_600);
    daemon.advance(minutes(21)).await;
    assert_eq!(told(&smtp, 4).await, ["bob", "cat", "cat", "dan"], "escalated");
    daemon.advance(minutes(100)).await;
    assert_eq!(told(&smtp, 5).await, ["bob", "bob", "cat", "cat", "dan"], "their quiet is over");
}

#[tokio::test]
async fn a_digest_is_one_mail_of_all_that_could_wait() {
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules("")).await;
    prefers(
        &daemon,
        UpdateUserRequest {
            name: "bob".to_owned(),
            digest: "0 11 * * *".to_owned(),
            ..UpdateUserRequest::default()
        },
    )
    .await;
    let claude = daemon.agent("claude");
    let first = claude.read("production/DB").await.approval();
    let second = claude.read("production/API").await.approval();
    assert_eq!(told(&smtp, 2).await, ["cat", "cat"]);
    daemon.advance(minutes(61)).await;
    assert_eq!(told(&smtp, 3).await, ["bob", "cat", "cat"]);
    let digest = smtp.taken().into_iter().find(|mail| mail.to.contains("bob")).unwrap();
    let text = String::from_utf8_lossy(&digest.raw).replace("=\r\n", "");
    for asked in [&first, &second] {
        let short = daemon.admin().show(asked).await.unwrap().short_digest;
        assert!(text.contains(asked) && text.contains(&format!("Digest: {short}")), "{text}");
    }
    for asked in [first, second] {
        let shown = eventually("that it was sent", || async {
            let shown = daemon.admin().show(&asked).await.unwrap().deliveries;
            let bobs = shown.into_iter().find(|message| message.user == "bob")?;
            (bobs.status() == DeliveryStatus::Sent).then_some(bobs)
        })
        .await;
        assert_eq!(shown.attempts, 1);
    }
}

#[tokio::test]
async fn who_wants_no_messages_gets_none() {
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules("")).await;
    prefers(
        &daemon,
        UpdateUserRequest {
            name: "bob".to_owned(),
            set_notify_channels: true,
            ..UpdateUserRequest::default()
        },
    )
    .await;
    prefers(
        &daemon,
        UpdateUserRequest {
            name: "ann".to_owned(),
            notify_events: vec!["alert".to_owned()],
            ..UpdateUserRequest::default()
        },
    )
    .await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    assert_eq!(told(&smtp, 1).await, ["cat"]);
    let cat = daemon.grpc("cat");
    let approval = cat.show(&asked).await.unwrap();
    cat.deny(&approval, "no").await.unwrap();
    // Whatever else there was to tell is told by now, for the next ask's message comes after it.
    daemon.agent("claude").read("production/API").await;
    assert_eq!(told(&smtp, 2).await, ["cat", "cat"]);
}

#[tokio::test]
async fn a_rule_limits_its_asks_to_the_channels_that_it_names() {
    let (ops, dev, feed) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let chat = |name: &str, hook: &Receiver| {
        format!(
            "[notify.webhook.{name}]\nurl = \"{}\"\ntemplate = \"discord\"\n",
            hook.url("/chat")
        )
    };
    let settings = format!(
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n{}{}\
         [notify.webhook.feed]\nurl = \"{}\"\nsecrets_file = \"hook.secrets\"\n",
        chat("ops", &ops),
        chat("dev", &dev),
        feed.url("/feed"),
    );
    let daemon = TestDaemon::builder()
        .settings(&settings)
        .file("hook.secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZ2V0LWEta2V5")
        .rules(&rules("notify = [\"webhook:ops\"]"))
        .block_for(Duration::ZERO)
        .start()
        .await;
    let first = daemon.agent("claude").read("production/DB").await.approval();
    let is_of = |id: &str| {
        let id = id.to_owned();
        move |seen: &Received| seen.body.contains(&id)
    };
    ops.first("the ask", is_of(&first)).await;
    feed.first("the ask", is_of(&first)).await;
    let open = rules("").replace("production/*", "staging/*").replace("Production", "Open");
    let loaded = daemon.load_rules(&format!("{}{open}", rules("notify = [\"webhook:ops\"]"))).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let second = daemon.agent("claude").read("staging/DB").await.approval();
    dev.first("the other ask", is_of(&second)).await;
    // Messages are worked out in order: the ask before would be there by now.
    assert!(!dev.seen().iter().any(is_of(&first)), "{:?}", dev.seen());

    let unknown = daemon.load_rules(&rules("notify = [\"slack:none\"]")).await;
    let told = &unknown.problems[0];
    assert!(told.message.contains("there is no channel `slack:none`"), "{told:?}");
}

#[tokio::test]
async fn a_digest_tells_nothing_of_a_project_that_its_reader_has_left() {
    let smtp = SmtpServer::start(Tls::None).await;
    let mut daemon = mailing(&smtp, &rules("")).await;
    let admin = daemon.admin();
    let shop = CreateProjectRequest { name: "shop".to_owned(), monthly: 0 };
    admin.projects().create_project(shop).await.unwrap();
    daemon.write_rules("shop/rules.toml", &rules(""));
    let loaded = daemon.reload().await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let till = CreateKeyRequest {
        project: "shop".to_owned(),
        name: "till".to_owned(),
        scopes: vec!["secrets:read".to_owned(), "secrets:reveal".to_owned()],
        owner: "ann".to_owned(),
        rate: RATE_MAX,
        ..CreateKeyRequest::default()
    };
    daemon.add_key_as(till).await;
    let pin = PutSecretRequest {
        project: "shop".to_owned(),
        path: "production/PIN".to_owned(),
        value: b"1234".to_vec(),
        ..PutSecretRequest::default()
    };
    admin.secrets().put_secret(pin).await.unwrap();
    let in_project = |project: &str, roles: &[Role]| UpdateUserRequest {
        name: "bob".to_owned(),
        project: project.to_owned(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        set_roles: true,
        digest: "0 11 * * *".to_owned(),
        ..UpdateUserRequest::default()
    };
    for project in ["default", "shop"] {
        prefers(&daemon, in_project(project, &[Role::Approver])).await;
    }
    prefers(&daemon, in_project("", &[])).await;

    let left = daemon.agent("till").read("production/PIN").await.approval();
    let kept = daemon.agent("claude").read("production/DB").await.approval();
    assert_eq!(told(&smtp, 2).await, ["cat", "cat"]);
    prefers(&daemon, in_project("shop", &[])).await;
    daemon.advance(minutes(61)).await;
    assert_eq!(told(&smtp, 3).await, ["bob", "cat", "cat"]);
    let digest = smtp.taken().into_iter().find(|mail| mail.to.contains("bob")).unwrap();
    let text = String::from_utf8_lossy(&digest.raw).replace("=\r\n", "");
    assert!(text.contains(&kept), "{text}");
    assert!(!text.contains(&left) && !text.contains("PIN"), "{text}");
    let problem = eventually("that it was not sent", || async {
        let shown = daemon.admin().show(&left).await.unwrap().deliveries;
        let bobs = shown.into_iter().find(|message| message.user == "bob")?;
        (bobs.status() == DeliveryStatus::Failed).then_some(bobs.problem)
    })
    .await;
    assert_eq!(problem, "the user may not see that project any more");
}
