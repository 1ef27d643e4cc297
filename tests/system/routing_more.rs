//! What waits for people: it keeps to their quiet hours, comes once, and says whom nobody told.

use std::time::Duration;

use vouchsafe_proto::v1::{
    CheckResult, Delivery, DeliveryHold, DeliveryStatus, NotTold, RunChecksRequest,
    UpdateUserRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::hook::{Receiver, Reply};
use vouchsafe_tests::pages::Browser;
use vouchsafe_tests::smtp::{SmtpServer, Tls};

use crate::minutes;
use crate::routing::{mailing, mails, prefers, rules, told};

const REMINDED: &str = "remind_every = \"15m\"\n";

fn change(name: &str) -> UpdateUserRequest {
    UpdateUserRequest { name: name.to_owned(), ..UpdateUserRequest::default() }
}

/// The messages to a person about an approval.
async fn messages_to(daemon: &TestDaemon, name: &str, asked: &str) -> Vec<Delivery> {
    let mut all = daemon.admin().show(asked).await.unwrap().deliveries;
    all.retain(|message| message.user == name);
    all
}

/// Waits until so many messages to a person are sent: what is under way still waits.
async fn sent(daemon: &TestDaemon, name: &str, asked: &str, count: usize) {
    eventually(&format!("{count} messages to {name} to be sent"), || async {
        let all = messages_to(daemon, name, asked).await;
        let sent = all.iter().filter(|message| message.status() == DeliveryStatus::Sent).count();
        (sent == count).then_some(())
    })
    .await;
}

/// The subjects of what went to a person.
fn subjects(smtp: &SmtpServer, name: &str) -> Vec<String> {
    let mails = mails(smtp).into_iter().filter(|(to, _)| to.starts_with(&format!("{name}@")));
    mails.map(|(_, subject)| subject).collect()
}

#[tokio::test]
async fn a_digest_leaves_after_the_quiet_hours_and_an_escalation_at_once() {
    let smtp = SmtpServer::start(Tls::None).await;
    let more = "escalate_after = \"90m\"\nescalate_to = [\"dan\"]\n";
    let daemon = mailing(&smtp, &rules(more)).await;
    // The test's clock stands at ten.
    for name in ["bob", "dan"] {
        let (quiet_hours, digest) = ("09:00-12:00 UTC".to_owned(), "0 * * * *".to_owned());
        prefers(&daemon, UpdateUserRequest { quiet_hours, digest, ..change(name) }).await;
    }
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    assert_eq!(told(&smtp, 1).await, ["cat"]);
    let held = messages_to(&daemon, "bob", &asked).await;
    assert_eq!((held.len(), held[0].hold()), (1, DeliveryHold::Digest));
    assert_eq!(held[0].due_at.unwrap().seconds - held[0].queued_at.unwrap().seconds, 2 * 3_600);
    daemon.advance(minutes(91)).await;
    assert_eq!(told(&smtp, 4).await, ["bob", "cat", "cat", "dan"], "at half past eleven");
    daemon.advance(minutes(30)).await;
    assert_eq!(told(&smtp, 5).await, ["bob", "bob", "cat", "cat", "dan"], "at noon");
}

#[tokio::test]
async fn the_end_of_quiet_hours_brings_one_message_and_not_every_reminder() {
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules(REMINDED)).await;
    let quiet_hours = "09:00-11:50 UTC".to_owned();
    prefers(&daemon, UpdateUserRequest { quiet_hours, ..change("bob") }).await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    for reminders in 0..7 {
        sent(&daemon, "cat", &asked, reminders + 1).await;
        daemon.advance(minutes(15)).await;
    }
    sent(&daemon, "cat", &asked, 8).await;
    assert_eq!(daemon.admin().log_of("approval.reminded").await.len(), 7);
    assert_eq!(messages_to(&daemon, "bob", &asked).await.len(), 1);
    daemon.advance(minutes(6)).await;
    sent(&daemon, "bob", &asked, 1).await;
    assert_eq!(subjects(&smtp, "bob").len(), 1);
    // From then on they are reminded as others are.
    daemon.advance(minutes(9)).await;
    sent(&daemon, "bob", &asked, 2).await;
}

#[tokio::test]
async fn an_outage_ends_with_one_message_to_each_and_a_feed_has_heard_every_reminder() {
    let (smtp, feed) = (SmtpServer::start(Tls::None).await, Receiver::start().await);
    let settings = format!(
        "{}\n[notify]\nprivate_hosts = [\"127.0.0.1\"]\n[notify.webhook.feed]\nurl = \"{}\"\n\
         secrets_file = \"hook.secrets\"\n",
        smtp.settings(""),
        feed.url("/feed"),
    );
    let daemon = TestDaemon::builder()
        .settings(&settings)
        .file("hook.secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZ2V0LWEta2V5")
        .rules(&rules(REMINDED))
        .block_for(Duration::ZERO)
        .start()
        .await;
    for name in ["bob", "cat"] {
        let email = format!("{name}@example.com");
        prefers(&daemon, UpdateUserRequest { email, set_email: true, ..change(name) }).await;
    }
    smtp.down().await;
    feed.always(Reply::Die);
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    for _ in 0..4 {
        daemon.advance(minutes(15)).await;
    }
    eventually("every reminder to be routed", || async {
        let all = daemon.admin().show(&asked).await.unwrap().deliveries;
        let fed = all.iter().filter(|message| message.channel == "webhook:feed").count();
        (fed == 5 && all.len() == 7).then_some(())
    })
    .await;
    smtp.up().await;
    feed.always(Reply::Taken);
    for _ in 0..5 {
        daemon.advance(minutes(2)).await;
    }
    for name in ["bob", "cat"] {
        sent(&daemon, name, &asked, 1).await;
        assert_eq!(subjects(&smtp, name).len(), 1);
    }
    sent(&daemon, "", &asked, 5).await;
}

/// Whoever was asked is reminded while this holds what can wait for them, until noon; by then
/// somebody else has answered. What they are sent at noon.
async fn after_an_answer(held: UpdateUserRequest) -> (SmtpServer, TestDaemon, String) {
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules(REMINDED)).await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    sent(&daemon, "bob", &asked, 1).await;
    sent(&daemon, "cat", &asked, 1).await;
    prefers(&daemon, held).await;
    daemon.advance(minutes(15)).await;
    sent(&daemon, "cat", &asked, 2).await;
    let waits = messages_to(&daemon, "bob", &asked).await;
    let events: Vec<_> = waits.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(events, ["approval.requested", "approval.reminder"]);
    let cat = daemon.grpc("cat");
    cat.deny(&cat.show(&asked).await.unwrap(), "use staging").await.unwrap();
    eventually("the answer to be routed", || async {
        (messages_to(&daemon, "bob", &asked).await.len() == 3).then_some(())
    })
    .await;
    daemon.advance(minutes(106)).await;
    eventually("what waited to be sent", || async {
        let all = messages_to(&daemon, "bob", &asked).await;
        let waits = all.iter().any(|message| message.status() == DeliveryStatus::Queued);
        (!waits).then_some(())
    })
    .await;
    (smtp, daemon, asked)
}

#[tokio::test]
async fn nobody_is_reminded_of_what_was_answered_while_they_were_left_alone() {
    let quiet_hours = "09:00-12:00 UTC".to_owned();
    let held = UpdateUserRequest { quiet_hours, ..change("bob") };
    let (smtp, daemon, asked) = after_an_answer(held).await;
    sent(&daemon, "bob", &asked, 2).await;
    assert_eq!(subjects(&smtp, "bob").len(), 2);
    let all = messages_to(&daemon, "bob", &asked).await;
    let events: Vec<_> = all.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(events, ["approval.requested", "approval.decided"]);
    assert_eq!(daemon.admin().log_of("approval.reminded").await.len(), 1);
}

#[tokio::test]
async fn a_digest_reminds_nobody_of_what_was_answered() {
    let digest = "0 12 * * *".to_owned();
    let held = UpdateUserRequest { digest, ..change("bob") };
    let (smtp, daemon, asked) = after_an_answer(held).await;
    sent(&daemon, "bob", &asked, 2).await;
    let subjects = subjects(&smtp, "bob");
    let digests = subjects.iter().filter(|subject| subject.contains("1 message since")).count();
    assert_eq!((subjects.len(), digests), (2, 1), "{subjects:?}");
}

#[tokio::test]
async fn an_ask_shows_who_may_answer_and_is_told_by_no_channel() {
    let smtp = SmtpServer::start(Tls::None).await;
    let more = "escalate_after = \"20m\"\nescalate_to = [\"dan\"]\n";
    let daemon = mailing(&smtp, &rules(more)).await;
    prefers(&daemon, UpdateUserRequest { set_email: true, ..change("bob") }).await;
    prefers(&daemon, UpdateUserRequest { set_notify_channels: true, ..change("dan") }).await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    assert_eq!(told(&smtp, 1).await, ["cat"]);
    let not_told = async || daemon.admin().show(&asked).await.unwrap().evidence.unwrap().not_told;
    let one = |user: &str, why: &str| NotTold { user: user.to_owned(), why: why.to_owned() };
    let mut expected: Vec<_> =
        ["admin", "bob"].iter().map(|name| one(name, "no address for email")).collect();
    assert_eq!(not_told().await, expected);
    daemon.advance(minutes(21)).await;
    expected.push(one("dan", "wants no messages"));
    assert_eq!(not_told().await, expected);
    let page = Browser::signed_in(&daemon, "bob").await.get(&format!("/approvals/{asked}")).await;
    for line in ["Not told", "admin, bob: no address for email", "dan: wants no messages"] {
        assert!(page.html.contains(line), "{line}: {}", page.html);
    }
    let cat = daemon.grpc("cat");
    cat.deny(&cat.show(&asked).await.unwrap(), "use staging").await.unwrap();
    assert!(not_told().await.is_empty());
}

#[tokio::test]
async fn a_rule_whose_channels_miss_somebody_is_shown_with_its_asks() {
    let (smtp, hook) = (SmtpServer::start(Tls::None).await, Receiver::start().await);
    let daemon = TestDaemon::builder()
        .settings(&format!(
            "{}\n[notify]\nprivate_hosts = [\"127.0.0.1\"]\n[notify.webhook.feed]\n\
             url = \"{}\"\nsecrets_file = \"hook.secrets\"\n",
            smtp.settings(""),
            hook.url("/feed"),
        ))
        .file("hook.secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZ2V0LWEta2V5")
        .rules(&rules("notify = [\"webhook:feed\"]"))
        .block_for(Duration::ZERO)
        .start()
        .await;
    for name in ["bob", "cat"] {
        let email = format!("{name}@example.com");
        prefers(&daemon, UpdateUserRequest { email, set_email: true, ..change(name) }).await;
    }
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let shown = daemon.admin().show(&asked).await.unwrap().evidence.unwrap().not_told;
    let why = "the rule's channels do not reach them";
    let names: Vec<_> = shown.iter().map(|one| (one.user.as_str(), one.why.as_str())).collect();
    assert_eq!(names, ["admin", "bob", "cat"].map(|name| (name, why)));
}

#[tokio::test]
async fn doctor_warns_of_approvers_whom_no_channel_reaches() {
    let approvers = async |daemon: &TestDaemon| -> Option<CheckResult> {
        let checks = daemon.admin().status().run_checks(RunChecksRequest {}).await.unwrap();
        checks.into_inner().results.into_iter().find(|check| check.name == "approvers")
    };
    let alone = TestDaemon::builder().start().await;
    assert!(approvers(&alone).await.is_none(), "nobody is told anything there");
    let smtp = SmtpServer::start(Tls::None).await;
    let daemon = mailing(&smtp, &rules("")).await;
    let email = "admin@example.com".to_owned();
    prefers(&daemon, UpdateUserRequest { email, set_email: true, ..change("admin") }).await;
    let fine = approvers(&daemon).await.unwrap();
    assert!(fine.ok && !fine.warning && fine.mend.is_empty(), "{fine:?}");
    prefers(&daemon, UpdateUserRequest { set_email: true, ..change("bob") }).await;
    prefers(&daemon, UpdateUserRequest { set_notify_channels: true, ..change("cat") }).await;
    let warned = approvers(&daemon).await.unwrap();
    assert!(warned.ok && warned.warning && warned.mend.contains("users update"), "{warned:?}");
    let detail = "no channel tells bob: no address for email; cat: wants no messages";
    assert_eq!(warned.detail, detail);
}
