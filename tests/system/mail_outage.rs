//! The mail server is away for a while, under load: nothing waits for it, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use mail_parser::MessageParser;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::smtp::{Mood, SmtpServer, Step, Taken, Tls};

use crate::mail::mail_daemon;
use crate::minutes;

const APPROVALS: usize = 50;

/// What one mail is about: its id, its thread, whom it is for, whether it is the first of them.
fn read(taken: &Taken) -> (String, String, String, bool) {
    let mail = MessageParser::default().parse(&taken.raw).unwrap();
    let thread = mail.references().as_text().unwrap().to_owned();
    let first = !mail.subject().unwrap().starts_with("Re: ");
    (mail.message_id().unwrap().to_owned(), thread, taken.to.clone(), first)
}

#[tokio::test]
async fn what_was_asked_while_mail_was_away_arrives_once_and_in_order() {
    let server = SmtpServer::start(Tls::Starttls).await;
    let daemon =
        mail_daemon(&server, "timeout = \"5s\"\n[notify]\ngive_up_after = \"30d\"\n").await;
    let (agent, ann) = (daemon.agent("claude"), daemon.grpc("ann@example.com"));
    server.down().await;
    let mut asked = Vec::new();
    for number in 0..APPROVALS {
        let path = format!("production/KEY_{number}");
        daemon.admin().put(&path, "value").await;
        asked.push(agent.read(&path).await.approval());
    }
    // Answers are taken meanwhile, and serve.
    for approval in asked.iter().step_by(2) {
        let shown = ann.show(approval).await.unwrap();
        ann.approve(&shown).await.unwrap();
    }
    assert_eq!(agent.read("production/KEY_0").await.value(), "value");
    for _ in 0..10 {
        daemon.advance(minutes(1)).await;
    }
    assert!(server.taken().is_empty());

    server.up().await;
    eventually("every mail to arrive", || async {
        daemon.advance(minutes(1)).await;
        let arrived: BTreeSet<_> =
            server.taken().iter().map(|taken| (read(taken).1, taken.to.clone())).collect();
        (arrived.len() == 2 * APPROVALS + APPROVALS / 2).then_some(())
    })
    .await;
    for _ in 0..20 {
        daemon.advance(minutes(1)).await;
    }
    let mut ids = BTreeSet::new();
    let mut lanes: BTreeMap<(String, String), Vec<bool>> = BTreeMap::new();
    for taken in server.taken() {
        let (id, thread, to, first) = read(&taken);
        assert!(ids.insert(id.clone()), "{id} came twice");
        lanes.entry((thread, to)).or_default().push(first);
    }
    // To each person about each approval: first that it was asked, then what came of it. The key's
    // owner, who may not answer, is told the outcome alone.
    for ((thread, to), firsts) in lanes {
        let asked = usize::from(to != "eve@example.com");
        assert_eq!(firsts.iter().filter(|first| **first).count(), asked, "{thread} {to}");
        assert_eq!(firsts[0], asked == 1, "{thread} {to}: {firsts:?}");
    }
}

#[tokio::test]
async fn a_mail_whose_arrival_nobody_knows_of_comes_again_as_the_same_mail() {
    let server = SmtpServer::start(Tls::Starttls).await;
    let daemon = mail_daemon(&server, "").await;
    daemon.admin().put("production/DB", "value").await;
    server.set(Step::Content, Mood::TakeAndDie);
    daemon.agent("claude").read("production/DB").await.approval();
    server.arrived(2).await;
    server.mend();
    let taken = eventually("the mails to come again", || async {
        daemon.advance(minutes(1)).await;
        let taken = server.taken();
        (taken.len() >= 4).then_some(taken)
    })
    .await;
    for to in ["ann@example.com", "bob@example.com"] {
        let same: BTreeSet<_> =
            taken.iter().filter(|taken| taken.to == to).map(|taken| &taken.raw).collect();
        assert_eq!(same.len(), 1, "one mail, however often it came");
    }
}
