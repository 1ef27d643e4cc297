//! `vouchsafe demo` on the home of `vouchsafed --dev`: what a newcomer sees first.

use vouchsafe_tests::process::{Home, RealDaemon};

#[tokio::test]
async fn a_newcomer_sees_ask_approval_lease_and_log() {
    let args = ["--dev", "--listen", "127.0.0.1:0"];
    let daemon = RealDaemon::start_with(Home::nowhere(), &args, &[]).await;
    let said = daemon.vouchsafe(["demo", "--approve"]).await.ok();
    let mut rest = said.stdout.as_str();
    for step in [
        "An agent needs an MCP key",
        "speaks MCP",
        "whoami: key demo",
        "wants to read vouchsafe://secrets/production/DATABASE_URL",
        "A person is asked",
        "Approved",
        "lease ls_",
        "it has ended",
        "a person is asked again: ap_",
        "All of it is in the log",
        "The log is whole",
    ] {
        let at = rest.find(step);
        assert!(at.is_some(), "{step:?} is not there, or not in its place:\n{said}");
        rest = rest.get(at.unwrap()..).unwrap();
    }
    // A second time, on what the first has left.
    daemon.vouchsafe(["demo", "--approve"]).await.ok();
}

#[tokio::test]
async fn the_demo_runs_on_no_other_home() {
    let daemon = RealDaemon::start().await;
    let said = daemon.vouchsafe(["demo", "--approve"]).await.failed(3);
    assert!(said.stderr.contains("dev home"), "{said}");
}
