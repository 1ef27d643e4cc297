//! `vouchsafe secrets import` on a terminal: what a person sees before they say yes.

use vouchsafe_tests::process::{RealDaemon, Terminal};

const SIZE: (u16, u16) = (24, 80);

/// How many secrets there are.
async fn count(daemon: &RealDaemon) -> usize {
    daemon.vouchsafe(["secrets", "list", "-o", "json"]).await.ok().json().as_array().unwrap().len()
}

#[tokio::test]
async fn a_person_sees_the_plan_and_says_yes_or_no() {
    let daemon = RealDaemon::start().await;
    daemon.put("shop/OLD", "a value").await;
    daemon.write("shop.env", "OLD=hunter2\nNEW='hunter2'\n");
    let file = daemon.path().join("shop.env");
    let args = ["secrets", "import", file.to_str().unwrap(), "--prefix", "shop"];

    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, args);
    terminal.shows("version 1 -> 2").await;
    terminal.shows("Import 2 secrets: 1 new, 1 with a new version into project default?").await;
    terminal.types("n\r").await;
    assert_eq!(terminal.ended().await.code(), Some(1));
    assert_eq!(count(&daemon).await, 1);

    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, args);
    terminal.shows("[y/N]").await;
    terminal.types("y\r").await;
    assert!(terminal.ended().await.success());
    terminal.shows("imported 2 secrets").await;
    terminal.hides("hunter2").await;
    assert_eq!(count(&daemon).await, 2);
}

#[tokio::test]
async fn nothing_is_imported_where_a_secret_moved_on_while_the_person_thought() {
    let daemon = RealDaemon::start().await;
    daemon.put("OLD", "a value").await;
    daemon.write("shop.env", "NEW=one\nOLD=two\n");
    let file = daemon.path().join("shop.env");
    let args = ["secrets", "import", file.to_str().unwrap()];
    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, args);
    terminal.shows("[y/N]").await;
    daemon.put("OLD", "another value").await;
    terminal.types("y\r").await;
    assert_eq!(terminal.ended().await.code(), Some(5));
    terminal.shows("nothing was imported").await;
    assert_eq!(count(&daemon).await, 1);
}
