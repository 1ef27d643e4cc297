//! Days on which something was wrong once, each as short as it could be made.

use std::time::Duration;

use vouchsafe_core::approval::{Ballot, Narrowing, Status};
use vouchsafe_core::caller::{Agent, User};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::secret::SecretBytes;
use vouchsafe_tests::broker::{ADMIN, TestBroker};
use vouchsafe_tests::events::within;
use vouchsafed::broker::{
    Access, AccessAsk, AwaitOutcome, Code, KeyChange, NewKey, Plea, PutSecret, PutValue, Release,
    SecretSettings, VoteCommand, WatchEvent,
};

const FREE: &str = "[[rule]]\nname = \"prod\"\nresource = \"vouchsafe://secrets/prod/*\"\n\
    approval = \"none\"\n";
const RULES: &str = "[[rule]]\nname = \"prod\"\nresource = \"vouchsafe://secrets/prod/*\"\n\
                     operations = [\"read\"]\napprovers = [\"ann\"]\n";

/// Leases on versions that are gone stood before the one on the version that is there, and only
/// the first twenty were looked at: what had been approved was asked for again and again.
#[tokio::test]
async fn a_lease_is_found_behind_any_number_of_leases_on_versions_that_are_gone() {
    let test = TestBroker::start(&[("ann", &[])], RULES).await;
    let (admin, ann) = (test.user(ADMIN).await, test.user("ann").await);
    let (agent, resource) = agent_with_a_secret(&test, &admin).await;
    for version in 1..=25_u64 {
        if version > 1 {
            put(&test, &admin).await;
        }
        // Each is asked for less than the one before, so that the newest ends first.
        let duration = Some(Duration::from_secs(900 - 10 * version));
        let asked = test
            .broker
            .read_secret(&agent, &resource, Plea { duration, ..Plea::default() })
            .await
            .unwrap();
        let Release::Pending(pending) = asked else { panic!("{asked:?}") };
        let command = VoteCommand {
            id: pending.ask.id.to_string(),
            ballot: Ballot::Approve(Narrowing::default()),
            reason: String::new(),
            digest: pending.ask.digest().to_string(),
            rendering: None,
        };
        test.broker.vote(&ann, command).await.unwrap();
        test.clock.advance(Duration::from_secs(1));
        let read = test.broker.read_secret(&agent, &resource, Plea::default()).await.unwrap();
        let Release::Value { version: released, .. } = read else { panic!("{version}: {read:?}") };
        assert_eq!(released, version);
    }
}

/// Whoever looked at an ask in the half second between its deadline and the sweep found it expired
/// and told nobody: other calls waited on, and a watch showed it as pending for ever.
#[tokio::test]
async fn whoever_finds_an_ask_expired_everybody_who_watches_is_told() {
    for finder in ["read_secret", "request_access", "await_approval"] {
        let test = TestBroker::start(&[("ann", &[])], RULES).await;
        let (admin, ann) = (test.user(ADMIN).await, test.user("ann").await);
        let (agent, resource) = agent_with_a_secret(&test, &admin).await;
        let asked = test.broker.read_secret(&agent, &resource, Plea::default()).await.unwrap();
        let Release::Pending(pending) = asked else { panic!("{asked:?}") };
        let mut watch = test.broker.watch_approvals(&ann, None).await.unwrap();
        for _ in 0..2 {
            within("what is pending", watch.next()).await.unwrap().unwrap();
        }
        test.clock.advance(Duration::from_secs(3_600));
        match finder {
            "read_secret" => {
                let told =
                    test.broker.read_secret(&agent, &resource, Plea::default()).await.unwrap();
                assert!(matches!(told, Release::Settled(_)), "{told:?}");
            }
            "request_access" => {
                let ask = AccessAsk {
                    resources: vec![resource],
                    operation: Operation::Read,
                    plea: Plea::default(),
                };
                let told = test.broker.request_access(&agent, ask).await.unwrap();
                assert!(matches!(told, Access::Settled(_)), "{told:?}");
            }
            _ => {
                let id = pending.ask.id.to_string();
                let told = test.broker.await_approval(&agent, &id).await.unwrap();
                assert!(matches!(told, AwaitOutcome::Settled(_)), "{told:?}");
            }
        }
        let event = within(finder, watch.next()).await.unwrap().unwrap();
        let WatchEvent::Approval(view) = event else { panic!("{event:?}") };
        assert_eq!(view.approval.status(), Status::Expired, "{finder}");
    }
}

#[tokio::test]
async fn a_key_that_was_changed_under_way_gets_nothing_by_what_it_was() {
    let test = TestBroker::start(&[("ann", &["oncall"])], FREE).await;
    let admin = test.user(ADMIN).await;
    // Let in, and not yet at the command, when the scope is taken away.
    let (agent, resource) = agent_with_a_secret(&test, &admin).await;
    let less = KeyChange { scopes: vec!["secrets:read".to_owned()], ..KeyChange::default() };
    test.broker.update_key(&admin, None, "key", less).await.unwrap();
    let refused = test.broker.read_secret(&agent, &resource, Plea::default()).await.unwrap_err();
    assert_eq!(refused.code, Code::KeyChanged);
    assert_eq!(refused.message, "the key `key` was changed while this call was under way");
}

/// A key that may see values, and one to see.
async fn agent_with_a_secret(test: &TestBroker, admin: &User) -> (Agent, Resource) {
    let scopes = ["secrets:read", "secrets:reveal"].map(str::to_owned).to_vec();
    let new = NewKey { name: "key".to_owned(), scopes, ..NewKey::default() };
    let made = test.broker.create_key(admin, new).await.unwrap();
    put(test, admin).await;
    let agent = test.agent(&made.1.expose()).await.unwrap();
    (agent, "vouchsafe://secrets/prod/A".parse().unwrap())
}

async fn put(test: &TestBroker, admin: &User) {
    let put = PutSecret {
        project: None,
        path: "prod/A".to_owned(),
        value: PutValue::Given(SecretBytes::new(b"x".to_vec())),
        settings: SecretSettings::default(),
        expected_version: None,
    };
    test.broker.put_secret(admin, put).await.unwrap();
}
