//! What happens to secrets with time, on the test's clock: rotation, reminders, purges.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::{
    ArchiveProjectRequest, CheckResult, CreateProjectRequest, GenerateSecretRequest, Generator,
    RestoreProjectRequest, RunChecksRequest, SecretOrigin, SecretSettings, ShowSecretRequest,
    ShowStatusRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::mcp::uri;

use crate::secrets::{Desk, conflicted, days, free, password};
use crate::{check_code, check_said, minutes, prompt_daemon};

fn every(schedule: &str) -> SecretSettings {
    SecretSettings { rotate_every: Some(schedule.to_owned()), ..SecretSettings::default() }
}

#[tokio::test]
async fn a_generated_value_is_rotated_by_its_schedule() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let made = desk.generate_with("staging/X", password(24, ""), every("0 * * * *")).await.unwrap();
    // It is ten o'clock.
    assert_eq!(made.rotates_at.unwrap().seconds, 1_795_255_200 + 3_600);
    let first = free(&daemon, "staging/X").await;
    daemon.advance(minutes(59)).await;
    assert_eq!(desk.show("staging/X").await.unwrap().version, 1);
    daemon.advance(minutes(1)).await;
    let second = desk.show("staging/X").await.unwrap();
    assert_eq!((second.version, second.origin()), (2, SecretOrigin::Rotated));
    assert_eq!(second.updated_by, "vouchsafed");
    assert_eq!(second.rotates_at.unwrap().seconds, 1_795_255_200 + 2 * 3_600);
    assert_ne!(free(&daemon, "staging/X").await, first);
    // The same minute again, and as often as somebody looks.
    daemon.sweep().await;
    daemon.sweep().await;
    assert_eq!(desk.show("staging/X").await.unwrap().version, 2);

    let entries = desk.0.log_of("secret.rotated").await;
    assert_eq!((entries.len(), &entries[0]["actor"]["kind"]), (1, &json!("system")));
    assert_eq!(
        entries[0]["details"],
        json!({
            "bytes": 24,
            "generator": "password of 24 characters (alphanumeric)",
            "schedule": "0 * * * *",
            "version": 2,
        })
    );
}

#[tokio::test]
async fn what_was_due_often_while_the_daemon_was_away_is_rotated_once() {
    let mut daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    desk.generate_with("staging/X", password(24, ""), every("0 * * * *")).await.unwrap();
    daemon.stop().await;
    daemon.clock.reboot("boot-2");
    daemon.clock.advance(days(90) + minutes(30));
    daemon.restart().await;
    daemon.sweep().await;
    let desk = Desk::of(&daemon);
    let rotated = desk.show("staging/X").await.unwrap();
    assert_eq!(rotated.version, 2);
    let next = 1_795_255_200 + i64::try_from(days(90).as_secs()).unwrap() + 3_600;
    assert_eq!(rotated.rotates_at.unwrap().seconds, next);
    daemon.advance(minutes(30)).await;
    assert_eq!(desk.show("staging/X").await.unwrap().version, 3);
}

#[tokio::test]
async fn after_a_rotation_by_schedule_leases_on_the_version_before_release_nothing() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    for path in ["production/X", "follow/X"] {
        desk.generate_with(path, password(24, ""), every("5 10 * * *")).await.unwrap();
    }
    let claude = daemon.agent("claude");
    let before = crate::lease_on(&daemon, &claude, "production/X").await;
    let followed = crate::lease_on(&daemon, &claude, "follow/X").await;
    daemon.advance(minutes(5)).await;
    assert_eq!(claude.read("production/X").await.status(), "pending");
    let now = claude.read("follow/X").await;
    assert_eq!(now.lease(), followed.lease());
    assert_ne!(now.value(), followed.value());
    assert_ne!(before.value(), now.value());
}

#[tokio::test]
async fn what_is_not_in_use_rests_and_is_rotated_once_it_is_again() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let shop = || "shop".to_owned();
    let request = CreateProjectRequest { name: shop(), monthly: 0 };
    desk.0.projects().create_project(request).await.unwrap();
    let request = GenerateSecretRequest {
        project: shop(),
        path: "till/PIN".to_owned(),
        generator: Some(Generator { kind: Some(password(24, "")) }),
        settings: Some(every("0 * * * *")),
        ..GenerateSecretRequest::default()
    };
    desk.0.secrets().generate_secret(request).await.unwrap();
    desk.generate_with("staging/X", password(24, ""), every("0 * * * *")).await.unwrap();
    desk.delete("staging/X").await.unwrap();
    let away = ArchiveProjectRequest { name: shop(), reason: String::new() };
    desk.0.projects().archive_project(away).await.unwrap();
    daemon.advance(minutes(121)).await;
    assert!(desk.0.log_of("secret.rotated").await.is_empty());

    // What was due meanwhile is not made up for.
    let back = desk.undelete("staging/X", "").await.unwrap();
    assert_eq!(back.rotates_at.unwrap().seconds, 1_795_255_200 + 3 * 3_600);
    let restore = RestoreProjectRequest { name: shop() };
    desk.0.projects().restore_project(restore).await.unwrap();
    daemon.sweep().await;
    let request = ShowSecretRequest { project: shop(), path: "till/PIN".to_owned() };
    let pin = desk.0.secrets().show_secret(request).await.unwrap().into_inner();
    assert_eq!((pin.version, pin.project.as_str()), (2, "shop"));
    assert_eq!(desk.show("staging/X").await.unwrap().version, 1);
}

async fn expiring(desk: &Desk) -> Vec<(String, Value)> {
    let entries = desk.0.log_of("secret.expiring").await;
    let told = entries.iter().map(|entry| {
        let day = entry["time"].as_str().unwrap()[..10].to_owned();
        (day, entry["details"]["days_left"].clone())
    });
    told.collect()
}

#[tokio::test]
async fn people_are_reminded_of_a_date_four_times_and_once_each() {
    let mut daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    // 2026-12-31T10:00:00Z, in forty days.
    let expires_at = Some(prost_types::Timestamp { seconds: 1_798_711_200, nanos: 0 });
    let owner = Some("ann".to_owned());
    let settings = SecretSettings { expires_at, owner, ..SecretSettings::default() };
    desk.update("staging/DB", settings).await.unwrap();
    for day in 0..45 {
        if day % 10 == 5 {
            daemon.restart().await;
        }
        daemon.advance(days(1)).await;
        daemon.sweep().await;
    }
    let desk = Desk::of(&daemon);
    let told = expiring(&desk).await;
    let days_left = |day: &str, left: u64| (day.to_owned(), json!(left));
    let should = [
        days_left("2026-12-01", 30),
        days_left("2026-12-24", 7),
        days_left("2026-12-30", 1),
        days_left("2026-12-31", 0),
    ];
    assert_eq!(told, should);
    let entry = &desk.0.log_of("secret.expiring").await[0]["details"];
    assert_eq!(
        *entry,
        json!({ "days_left": 30, "expires_at": "2026-12-31T10:00:00.000Z", "owner": "ann" })
    );
    // A date is for people: it is released all the same.
    assert_eq!(free(&daemon, "staging/DB").await, "value-of-staging/DB");
}

#[tokio::test]
async fn what_was_missed_while_the_daemon_was_away_is_told_once() {
    let mut daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let expires_at = Some(prost_types::Timestamp { seconds: 1_798_711_200, nanos: 0 });
    let settings = SecretSettings { expires_at, ..SecretSettings::default() };
    desk.update("staging/DB", settings).await.unwrap();
    daemon.stop().await;
    daemon.clock.advance(days(35));
    daemon.restart().await;
    daemon.sweep().await;
    daemon.advance(days(4)).await;
    let told = expiring(&Desk::of(&daemon)).await;
    let should = [("2026-12-26".to_owned(), json!(5)), ("2026-12-30".to_owned(), json!(1))];
    assert_eq!(told, should);
}

async fn status_and_check(daemon: &TestDaemon) -> (Option<String>, CheckResult) {
    let mut status = daemon.admin().status();
    let shown = status.show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    let warning = shown.warnings.into_iter().find(|warning| warning.contains("date"));
    let checks = status.run_checks(RunChecksRequest {}).await.unwrap().into_inner().results;
    (warning, checks.into_iter().find(|check| check.name == "secrets").unwrap())
}

#[tokio::test]
async fn the_status_warns_of_dates_that_come_and_the_checks_fail_for_those_that_have_come() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    for (path, seconds) in [("staging/DB", 1_798_711_200), ("production/DB", 1_798_711_201)] {
        let expires_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let settings = SecretSettings { expires_at, ..SecretSettings::default() };
        desk.update(path, settings).await.unwrap();
    }
    daemon.advance(days(32)).await;
    let (warning, check) = status_and_check(&daemon).await;
    assert_eq!((warning, check.ok, check.detail.as_str()), (None, true, "none is past its date"));
    daemon.advance(days(1)).await;
    let (warning, check) = status_and_check(&daemon).await;
    assert_eq!(
        warning.unwrap(),
        "1 secret is past its date, or will be within 7 days: staging/DB \
         (2026-12-31T10:00:00.000Z). `vouchsafe secrets update PATH --expires` gives another date."
    );
    assert!(check.ok);
    daemon.advance(days(8)).await;
    let (warning, check) = status_and_check(&daemon).await;
    assert!(warning.unwrap().starts_with("2 secrets are past their date, or will be within"));
    let detail = "2 are past their date: staging/DB (2026-12-31T10:00:00.000Z), production/DB \
                  (2026-12-31T10:00:01.000Z)";
    assert_eq!((check.ok, check.detail.as_str()), (false, detail));
}

/// The sealed values of the secret at this path, as they are stored, by version.
fn sealed(daemon: &TestDaemon, path: &str) -> Vec<Vec<u8>> {
    let connection = Connection::open(daemon.database()).unwrap();
    let sql = "SELECT v.sealed FROM secret_versions AS v JOIN secrets AS s ON s.id = v.secret_id \
               WHERE s.path = $1 ORDER BY v.version";
    let mut statement = connection.prepare(sql).unwrap();
    let found = statement.query_map([path], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

/// Until the files of the home hold nothing of what was wiped. Whoever reads just then is in the
/// way, and it is tried again a minute later.
async fn tidied(daemon: &TestDaemon) {
    eventually("the files to be tidied", || async {
        daemon.sweep().await;
        let untidy = meta(daemon, "untidy").is_some_and(|is| is == "yes");
        if untidy {
            daemon.advance(Duration::from_secs(61)).await;
        }
        (!untidy).then_some(())
    })
    .await;
}

fn meta(daemon: &TestDaemon, name: &str) -> Option<String> {
    let connection = Connection::open(daemon.database()).unwrap();
    let sql = "SELECT value FROM meta WHERE name = $1";
    connection.query_row(sql, [name], |row| row.get(0)).optional().unwrap()
}

/// Which files of the home hold this.
fn holding(home: &Path, needle: &[u8]) -> Vec<String> {
    assert!(!needle.is_empty());
    let mut found = Vec::new();
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let Ok(mut bytes) = fs::read(&path) else { continue };
        // Much of the home is set aside, and empty.
        while bytes.ends_with(&[0; 8_192]) {
            bytes.truncate(bytes.len() - 4_096);
        }
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[tokio::test]
async fn a_purged_secret_is_in_no_file() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let long = "v".repeat(20_000);
    let description = Some("the MARKED-DESCRIPTION".to_owned());
    let labels = [("team".to_owned(), "MARKED-LABEL".to_owned())].into();
    desk.put_with("staging/GONE", SecretSettings { description, labels, ..Default::default() })
        .await
        .unwrap();
    desk.0.put("staging/GONE", &long).await;
    desk.generate("staging/KEPT", password(24, "")).await.unwrap();
    let kept = sealed(&daemon, "staging/KEPT");
    let values = sealed(&daemon, "staging/GONE");
    assert_eq!(values.len(), 2);
    desk.delete("staging/GONE").await.unwrap();
    daemon.advance(days(29) + Duration::from_secs(86_399)).await;
    for value in &values {
        assert!(!holding(daemon.home(), &value[..100]).is_empty());
    }
    assert!(!holding(daemon.home(), b"MARKED-DESCRIPTION").is_empty());
    let back = desk.undelete("staging/GONE", "").await.unwrap();
    assert_eq!(free(&daemon, "staging/GONE").await, long);
    desk.delete("staging/GONE").await.unwrap();

    daemon.clock.advance(days(30));
    // Its time is over, whether or not anybody has come to purge it.
    let too_late =
        |time: &str| format!("the secret staging/GONE that was deleted is purged since {time}");
    let refused = desk.undelete("staging/GONE", "").await;
    let next = "Its values are gone for good: put it again.";
    let until = too_late("2027-01-20T09:59:59.000Z");
    check_said(refused, Code::NotFound, "SECRET_NOT_FOUND", &until, next);
    tidied(&daemon).await;
    for value in &values {
        for part in [&value[12..72], &value[100..130], &value[value.len() - 20..]] {
            assert_eq!(holding(daemon.home(), part), [""; 0], "sealed bytes are left");
        }
    }
    assert_eq!(sealed(&daemon, "staging/GONE"), [b"", b""]);
    for mark in ["MARKED-DESCRIPTION", "MARKED-LABEL"] {
        assert_eq!(holding(daemon.home(), mark.as_bytes()), [""; 0]);
    }
    assert_eq!(sealed(&daemon, "staging/KEPT"), kept);
    let refused = desk.undelete("staging/GONE", &back.id).await;
    check_said(refused, Code::NotFound, "SECRET_NOT_FOUND", &until, next);
    let entries = desk.0.log_of("secret.purged").await;
    assert_eq!((entries.len(), &entries[0]["actor"]["kind"]), (1, &json!("system")));
    let details = json!({ "id": back.id, "version": 2, "what": "a deleted secret" });
    assert_eq!(entries[0]["details"], details);
    // The path is free, and the id keeps its name.
    assert_eq!(desk.0.put("staging/GONE", "again").await.version, 1);
    daemon.advance(minutes(2)).await;
    assert_eq!(desk.0.log_of("secret.purged").await.len(), 1);
}

#[tokio::test]
async fn what_a_crash_left_of_a_purge_is_gone_after_the_start() {
    let mut daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    desk.put_with("staging/GONE", SecretSettings::default()).await.unwrap();
    desk.delete("staging/GONE").await.unwrap();
    daemon.stop().await;
    // As where the files were not emptied yet: the fact that they have to be is stored.
    let connection = Connection::open(daemon.database()).unwrap();
    connection.execute("INSERT INTO meta (name, value) VALUES ('untidy', 'yes')", []).unwrap();
    drop(connection);
    daemon.restart().await;
    tidied(&daemon).await;
    daemon.stop().await;
    assert_eq!(meta(&daemon, "untidy").as_deref(), Some("no"));
}

#[tokio::test]
async fn of_each_secret_the_newest_versions_are_kept() {
    let mut daemon = prompt_daemon().await;
    daemon.config().secrets.keep_versions = 3;
    daemon.restart().await;
    let desk = Desk::of(&daemon);
    for n in 1..=5 {
        desk.0.put("staging/X", &format!("value-{n}")).await;
    }
    let before = sealed(&daemon, "staging/X");
    daemon.advance(minutes(2)).await;
    tidied(&daemon).await;
    let after = sealed(&daemon, "staging/X");
    assert_eq!(after[2..], before[2..]);
    assert_eq!(after[..2], [b"", b""]);
    for value in &before[..2] {
        assert_eq!(holding(daemon.home(), &value[72..]), [""; 0]);
    }
    let wiped: Vec<_> = desk.versions("staging/X").await.iter().map(|v| v.wiped).collect();
    assert_eq!(wiped, [false, false, false, true, true]);
    check_said(
        desk.roll_back("staging/X", 2).await,
        Code::NotFound,
        "SECRET_NOT_FOUND",
        "the value of version 2 of staging/X is wiped: only the newest are kept",
        "`vouchsafe secrets versions staging/X` shows which there are.",
    );
    assert_eq!(desk.roll_back("staging/X", 3).await.unwrap().version, 6);
    assert_eq!(free(&daemon, "staging/X").await, "value-3");
    let entry = &desk.0.log_of("secret.purged").await[0]["details"];
    assert_eq!(*entry, json!({ "versions": [1, 2], "what": "old versions" }));
    daemon.advance(minutes(2)).await;
    assert!(desk.versions("staging/X").await[3].wiped);
}

const WRITES: &str = r#"
[[rule]]
name = "Written"
resource = "vouchsafe://secrets/staging/*"
operations = ["list", "write"]
approvers = ["group:oncall"]
"#;

fn proposals(daemon: &TestDaemon) -> Vec<Vec<u8>> {
    let connection = Connection::open(daemon.database()).unwrap();
    let mut statement = connection.prepare("SELECT sealed FROM proposals").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_proposed_value_goes_when_nobody_can_put_it_any_more() {
    let builder = TestDaemon::builder().block_for(Duration::ZERO).rules(WRITES);
    let mut daemon = builder.start().await;
    let approval = conflicted(&mut daemon, "the-proposed-value").await;
    let arguments = json!({ "uri": uri("staging/DB"), "value": "denied-value" });
    let denied = daemon.agent("writer").call("write_secret", arguments).await.approval();
    let both = proposals(&daemon);
    assert_eq!(both.len(), 2);
    let cat = daemon.grpc("cat");
    let shown = cat.show(&denied).await.unwrap();
    cat.deny(&shown, "not like this").await.unwrap();
    daemon.advance(minutes(2)).await;
    assert_eq!(proposals(&daemon).len(), 1, "what was denied is gone, what met a change is kept");
    daemon.advance(days(30)).await;
    assert_eq!(proposals(&daemon), [b""; 0]);
    tidied(&daemon).await;
    for value in &both {
        assert_eq!(holding(daemon.home(), &value[72..]), [""; 0]);
    }
    let desk = Desk::of(&daemon);
    let refused = desk.put_proposed("staging/DB", &approval).await;
    check_code(refused, Code::FailedPrecondition, "APPROVAL_EXPIRED");
    let entries = desk.0.log_of("secret.purged").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["approval"], json!(approval));
    assert_eq!(entries[0]["details"], json!({ "what": "a proposed value" }));
}
