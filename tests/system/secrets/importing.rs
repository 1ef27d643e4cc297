//! Many secrets at once: all of them or none.

use tonic::{Code, Status};
use vouchsafe_proto::v1::{ImportItem, ImportSecretsRequest, ImportedSecret, SecretOrigin};
use vouchsafe_tests::daemon::{TestDaemon, value_of};

use super::{Desk, free, password};
use crate::{check_code, check_said, prompt_daemon};

const AGAIN: &str = "Look at the plan again: `vouchsafe secrets import FILE`.";

fn item(path: &str, value: &[u8], expected_version: Option<u64>) -> ImportItem {
    ImportItem { path: path.to_owned(), value: value.to_vec(), expected_version }
}

fn done(path: &str, before: u64, problem: &str) -> ImportedSecret {
    let (path, problem) = (path.to_owned(), problem.to_owned());
    let after = if path == "not a path" { 0 } else { before + 1 };
    ImportedSecret { path, before, after, problem }
}

async fn import(
    daemon: &TestDaemon,
    items: Vec<ImportItem>,
    dry_run: bool,
) -> Result<Vec<ImportedSecret>, Status> {
    let request = ImportSecretsRequest { items, dry_run, project: String::new() };
    let answer = daemon.admin().secrets().import_secrets(request).await;
    answer.map(|answer| answer.into_inner().secrets)
}

#[tokio::test]
async fn a_plan_says_what_would_be_done_and_what_is_wrong_and_does_nothing() {
    let daemon = prompt_daemon().await;
    let before = daemon.admin().export().await.lines;
    let items = vec![
        item("staging/NEW", b"first", None),
        // The same value as is stored looks like any other.
        item("staging/DB", value_of("staging/DB").as_bytes(), None),
        item("staging/EMPTY", b"", None),
        item("staging/LONG", &[b'x'; 65_537], None),
        item("vouchsafe://secrets/staging/NEW", b"second", None),
        item("not a path", b"x", None),
    ];
    let plan = import(&daemon, items, true).await.unwrap();
    let problem = plan.last().unwrap().problem.clone();
    assert!(problem.starts_with("`not a path` is not a secret's path"), "{problem}");
    assert_eq!(
        plan,
        [
            done("staging/NEW", 0, ""),
            done("staging/DB", 1, ""),
            done("staging/EMPTY", 0, "the value is empty"),
            done("staging/LONG", 0, "the value is over 64 KiB"),
            done("vouchsafe://secrets/staging/NEW", 0, "it is there twice"),
            done("not a path", 0, &problem),
        ]
    );
    assert_eq!(free(&daemon, "staging/DB").await, value_of("staging/DB"));
    let after = daemon.admin().export().await.lines;
    let after = String::from_utf8(after).unwrap();
    let new = after.split_at(before.len()).1;
    assert!(!new.contains("secret.put") && !new.contains("secret.imported"), "{new}");
}

#[tokio::test]
async fn an_import_puts_all_of_them() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    desk.generate("staging/MADE", password(0, "")).await.unwrap();
    let items = vec![
        item("staging/NEW", b"first", Some(0)),
        item("staging/DB", b"second", Some(1)),
        item("staging/MADE", b"third", Some(1)),
    ];
    let put = import(&daemon, items, false).await.unwrap();
    let should =
        [done("staging/NEW", 0, ""), done("staging/DB", 1, ""), done("staging/MADE", 1, "")];
    assert_eq!(put, should);
    for (path, value) in
        [("staging/NEW", "first"), ("staging/DB", "second"), ("staging/MADE", "third")]
    {
        assert_eq!(free(&daemon, path).await, value);
        assert_eq!(desk.show(path).await.unwrap().origin(), SecretOrigin::Imported);
    }
    assert_eq!(desk.show("staging/MADE").await.unwrap().generator, None);
    let imported = desk.0.log_of("secret.imported").await;
    assert_eq!(imported[0]["details"], serde_json::json!({ "new": 1, "secrets": 3 }));
    let puts = desk.0.log_of("secret.put").await;
    let puts = puts.iter().filter(|entry| entry["details"]["imported"] == true);
    assert_eq!(puts.count(), 3);
}

#[tokio::test]
async fn nothing_is_put_where_anything_is_wrong_and_each_is_named() {
    let daemon = prompt_daemon().await;
    daemon.admin().put("staging/DB", "moved on").await;
    let conflict = Code::FailedPrecondition;
    let refused = import(
        &daemon,
        vec![
            item("staging/NEW", b"first", Some(0)),
            item("staging/DB", b"second", Some(1)),
            item("production/DB", b"third", Some(0)),
            item("staging/GONE", b"fourth", Some(4)),
        ],
        false,
    );
    check_said(
        refused.await,
        conflict,
        "VERSION_CONFLICT",
        "nothing was imported, for 3 of 4 secrets cannot be put: staging/DB: it is at version 2, \
         and the plan showed 1; production/DB: it is there by now, at version 1, and the plan \
         showed none; staging/GONE: it is gone, and the plan showed version 4",
        AGAIN,
    );
    let refused = import(
        &daemon,
        vec![
            item("staging/NEW", b"first", Some(0)),
            item("staging/NEW", b"other", Some(0)),
            item("staging/DB", b"second", None),
        ],
        false,
    );
    check_said(
        refused.await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "nothing was imported, for 2 of 3 secrets cannot be put: staging/NEW: it is there twice; \
         staging/DB: the version that the plan showed is not given",
        AGAIN,
    );
    assert_eq!(free(&daemon, "staging/DB").await, "moved on");
    let gone = Desk::of(&daemon).show("staging/NEW").await;
    check_code(gone, Code::NotFound, "SECRET_NOT_FOUND");
    let imported = daemon.admin().log_of("secret.imported").await;
    let outcomes: Vec<_> = imported.iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["refused", "refused"]);
}

#[tokio::test]
async fn as_many_are_put_at_once_as_may_be_and_no_more() {
    let daemon = prompt_daemon().await;
    let many = |count: usize, bytes: usize| -> Vec<_> {
        let value = vec![b'x'; bytes];
        (0..count).map(|n| item(&format!("staging/N{n}"), &value, Some(0))).collect()
    };
    let refused = import(&daemon, many(1_001, 1), false).await;
    let message = "there are 1001 secrets, and 1000 is the most at once";
    let invalid = Code::InvalidArgument;
    check_said(refused, invalid, "INVALID_ARGUMENT", message, "Import them in parts.");
    let message = "there is nothing to import";
    let refused = import(&daemon, Vec::new(), true).await;
    check_said(refused, invalid, "INVALID_ARGUMENT", message, "Give a file with values.");
    // Eight megabytes of values.
    let put = import(&daemon, many(1_000, 8 * 1024), false).await.unwrap();
    assert_eq!(put.len(), 1_000);
    assert_eq!(free(&daemon, "staging/N999").await.len(), 8 * 1024);
}
