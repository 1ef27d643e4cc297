//! The mail server is away for a while, under load: nothing waits for it, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use mail_parser::MessageParser;
use tokio::join;
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::smtp::{Mood, SmtpServer, Step, Taken, Tls};

use crate::mail::mail_daemon;
use crate::minutes;

/// Asks before the mail server goes away, while it is away, and once it is back.
const WAVE: usize = 30;
const KEYS: [&str; 3] = ["claude", "cursor", "codex"];

/// What one mail is about: its id, its thread, whom it is for, whether it is the first of them.
fn read(taken: &Taken) -> (String, String, String, bool) {
    let mail = MessageParser::default().parse(&taken.raw).unwrap();
    let thread = mail.references().as_text().unwrap().to_owned();
    let first = !mail.subject().unwrap().starts_with("Re: ");
    (mail.message_id().unwrap().to_owned(), thread, taken.to.clone(), first)
}

/// Asks that come at once, of several keys; every second one is approved at once, and serves.
async fn wave(daemon: &TestDaemon, number: usize) {
    let ask = async |number: usize| {
        let agent = daemon.agent(KEYS[number % KEYS.len()]);
        let path = format!("production/KEY_{number}");
        daemon.admin().put(&path, "value").await;
        let asked = agent.read(&path).await.approval();
        if number.is_multiple_of(2) {
            let ann = daemon.grpc("ann@example.com");
            ann.approve(&ann.show(&asked).await.unwrap()).await.unwrap();
            assert_eq!(agent.read(&path).await.value(), "value");
        }
    };
    join_all((number * WAVE..(number + 1) * WAVE).map(ask)).await;
}

#[tokio::test]
async fn what_was_asked_while_mail_was_away_arrives_once_and_in_order() {
    let server = SmtpServer::start(Tls::Starttls).await;
    let mut daemon =
        mail_daemon(&server, "timeout = \"30s\"\n[notify]\ngive_up_after = \"30d\"\n").await;
    for key in &KEYS[1..] {
        daemon.add_key(key, "eve@example.com", &["secrets:read", "secrets:reveal"]).await;
    }
    // It goes away in the middle of the first wave, and comes back in the middle of the third.
    let away = async {
        server.arrived(WAVE / 2).await;
        server.down().await;
    };
    join!(wave(&daemon, 0), away);
    wave(&daemon, 1).await;
    for _ in 0..10 {
        daemon.advance(minutes(1)).await;
    }
    let before = server.taken().len();
    assert!(before < 3 * WAVE, "{before} mails came before it went away");
    join!(wave(&daemon, 2), server.up());

    // To both who may answer of each ask; and of every second one, who approved it is told to the
    // other one and to the keys' owner.
    let mails = 3 * WAVE * 2 + 3 * WAVE / 2 * 2;
    eventually("every mail to arrive", || async {
        daemon.advance(minutes(1)).await;
        (server.taken().len() >= mails).then_some(())
    })
    .await;
    for _ in 0..20 {
        daemon.advance(minutes(1)).await;
    }
    let mut ids = BTreeSet::new();
    let mut lanes: BTreeMap<String, BTreeMap<String, Vec<bool>>> = BTreeMap::new();
    for taken in server.taken() {
        let (id, thread, to, first) = read(&taken);
        assert!(ids.insert(id.clone()), "{id} came twice");
        lanes.entry(thread).or_default().entry(to).or_default().push(first);
    }
    assert_eq!((ids.len(), lanes.len()), (mails, 3 * WAVE));
    // To each person about each approval: first that it was asked, then what came of it.
    let people = |outcome: &[(&str, &[bool])]| -> BTreeMap<String, Vec<bool>> {
        outcome.iter().map(|(to, firsts)| (format!("{to}@example.com"), firsts.to_vec())).collect()
    };
    let approved = people(&[("ann", &[true]), ("bob", &[true, false]), ("eve", &[false])]);
    let pending = people(&[("ann", &[true]), ("bob", &[true])]);
    let of = |expected: &_| lanes.values().filter(|lane| *lane == expected).count();
    assert_eq!((of(&approved), of(&pending)), (3 * WAVE / 2, 3 * WAVE / 2), "{lanes:?}");
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
