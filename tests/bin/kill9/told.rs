//! Whether whoever listens was told of all that happened, of nothing else, and of each thing once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::hook::{Received, Receiver};
use vouchsafe_tests::process::Home;

/// What happened to an approval, as messages name it.
type Happened = (String, &'static str);

/// Where its secret is.
const SECRET: &str = "feed.secret";

/// A channel that is told all that happens to approvals.
pub(super) fn settings(receiver: &Receiver) -> String {
    format!(
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n[notify.webhook.feed]\nurl = \"{}\"\n\
         secrets_file = \"{SECRET}\"\nevents = [\"approval.*\"]\n",
        receiver.url("/feed")
    )
}

pub(super) fn write_secret(home: &Home) {
    home.write(SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    set_permissions(home.path().join(SECRET), Permissions::from_mode(0o600)).unwrap();
}

/// Each entry of the log is told under one id, however often; in the order of the log, as far as
/// one approval goes; and no message tells of what is not in the log.
pub(super) async fn check(log: &[String], receiver: &Receiver) {
    let happened: BTreeSet<Happened> = log.iter().filter_map(|line| happened(line)).collect();
    eventually("every message to arrive", || async {
        let told: BTreeSet<Happened> = receiver.seen().iter().filter_map(told).collect();
        happened.is_subset(&told).then_some(())
    })
    .await;
    let seen = receiver.seen();
    let mut ids: BTreeMap<Happened, &str> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for received in &seen {
        let Some(event) = told(received) else { panic!("{received:?}") };
        assert!(happened.contains(&event), "{event:?} is told of, and not in the log");
        match event.1 {
            "approval.requested" => drop(asked.insert(event.0.clone())),
            _ => assert!(asked.contains(&event.0), "{event:?} came before the ask"),
        }
        let id = received.header("webhook-id");
        let first = ids.entry(event).or_insert(id);
        assert_eq!(*first, id, "told twice, and nobody can know: {received:?}");
    }
    println!("{} messages came, {} of them again", seen.len(), seen.len() - ids.len());
}

/// What an entry is told as.
fn happened(line: &str) -> Option<Happened> {
    let entry: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let event = match (text("outcome"), text("action")) {
        ("ok", "approval.requested") => "approval.requested",
        ("ok", "approval.approved" | "approval.denied" | "approval.withdrawn") => {
            "approval.decided"
        }
        ("ok", "approval.expired") => "approval.expired",
        _ => return None,
    };
    Some((text("approval").to_owned(), event))
}

fn told(received: &Received) -> Option<Happened> {
    let body = received.json();
    let approval = body.pointer("/data/approval_id")?.as_str()?.to_owned();
    let kinds = ["approval.requested", "approval.decided", "approval.expired"];
    let event = kinds.into_iter().find(|kind| received.kind() == *kind)?;
    Some((approval, event))
}
