//! What is true of the daemon, told through its doors: real sockets, a real database, a clock that
//! the test turns. The names are the rules.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by failing"
)]
#![expect(clippy::indexing_slicing, reason = "an answer without the member asked for is wrong")]

mod agents_log;
mod answers;
mod approvals;
mod audit;
mod break_glass;
mod changes;
mod changes_property;
mod contacts;
mod decisions;
mod doors;
mod emergency;
mod escalation;
mod evidence;
mod home;
mod hostile;
mod judged;
mod keys;
mod leases;
mod limits;
mod mail;
mod mail_outage;
mod main_path;
mod outbox;
mod pages;
mod pages_answers;
mod pages_live;
mod pages_operators;
mod pages_sign_in;
mod people;
mod policy;
mod policy_changes;
mod policy_replay;
mod projects;
mod races;
mod redaction;
mod respond;
mod restart;
mod roles;
mod routing;
mod routing_more;
mod secrets;
mod secrets_upkeep;
mod sessions;
mod slack;
mod stats;
mod stdio;
mod tools;
mod webhook;

use std::time::Duration;

use tonic::{Code, Status};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::grpc::{Said, said};
use vouchsafe_tests::mcp::{Agent, Answer};

/// A daemon whose calls are answered with their handle at once.
async fn prompt_daemon() -> TestDaemon {
    TestDaemon::builder().block_for(Duration::ZERO).start().await
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// A person is told exactly this.
#[track_caller]
fn check_said<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    grpc: Code,
    code: &str,
    message: &str,
    next: &str,
) {
    let is = said(&answer.expect_err("this is to be refused"));
    let should =
        Said { grpc, code: code.to_owned(), message: message.to_owned(), next: next.to_owned() };
    assert_eq!(is, should);
}

/// A person is refused with this code, and told something.
#[track_caller]
fn check_code<T: std::fmt::Debug>(answer: Result<T, Status>, grpc: Code, code: &str) {
    let is = said(&answer.expect_err("this is to be refused"));
    assert_eq!((is.grpc, is.code.as_str()), (grpc, code), "{is:?}");
    assert!(!is.message.is_empty() && !is.message.ends_with('.'), "{is:?}");
}

/// An agent is refused exactly so.
#[track_caller]
fn check_refused(answer: &Answer, code: &str, message: &str, next: &str) {
    assert!(answer.is_error, "{answer:?}");
    let content = serde_json::json!({
        "status": "refused", "code": code, "message": message, "next": next,
    });
    assert_eq!(answer.content, content);
}

/// An agent is refused with this code.
#[track_caller]
fn check_refused_as(answer: &Answer, code: &str) {
    assert!(answer.is_error && answer.status() == "refused", "{answer:?}");
    assert_eq!(answer.code(), code, "{answer:?}");
}

/// The agent has a lease on this by bob's word; gives back its id and the first answer under it.
async fn lease_on(daemon: &TestDaemon, agent: &Agent, path: &str) -> Answer {
    let asked = agent.read(path).await;
    assert_eq!(asked.status(), "pending", "{asked:?}");
    let voter = daemon.grpc("cat");
    let approval = voter.show(&asked.approval()).await.unwrap();
    voter.approve(&approval).await.unwrap();
    let answer = agent.read(path).await;
    assert_eq!(answer.status(), "ok", "{answer:?}");
    answer
}
