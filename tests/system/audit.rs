//! The log: that all of it is there, that it is found again, and that nobody edits it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::process::Command;
use vouchsafe_core::audit::{VerifierKey, verify_export};
use vouchsafe_proto::v1::{
    AuditFilter, GroupAuditRequest, ListKeysRequest, PageRequest, QueryAuditRequest,
    RunChecksRequest, ShowCheckpointRequest, TailAuditRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::Person;
use vouchsafe_tests::mcp::{send, uri};

use crate::{check_code, check_said, lease_on, main_path, minutes, prompt_daemon};

#[tokio::test]
async fn every_refusal_at_a_door_is_in_the_log() {
    let daemon = prompt_daemon().await;
    let agent = daemon.agent("claude");
    let list = json!({});
    daemon.agent_with("nonsense").exchange("tools/list", list.clone()).await;
    daemon.agent_with(daemon.token("ann")).exchange("tools/list", list.clone()).await;
    agent.at(&daemon.url("/mcp/other")).exchange("tools/list", list.clone()).await;
    send(agent.post("tools/list", list.clone()).header("host", "evil.example")).await;
    send(agent.post("tools/list", list.clone()).header("origin", "https://evil.example")).await;
    let query = daemon.url("/mcp?token=vs_mcp_x");
    agent.at(&query).exchange("tools/list", list).await;
    drop(daemon.grpc_with(None).keys().list_keys(ListKeysRequest::default()).await);
    drop(daemon.grpc("bob").keys().list_keys(ListKeysRequest::default()).await);
    daemon.sweep().await;
    let refused = daemon.admin().log_of("door.refused").await;
    let told: Vec<_> = refused
        .iter()
        .map(|entry| {
            assert_eq!(entry["outcome"], "refused");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&entry["actor"]["via"]), text(&entry["details"]["code"]))
        })
        .collect();
    let count = |via: &str, code: &str| told.iter().filter(|t| t.0 == via && t.1 == code).count();
    assert_eq!(count("http", "UNAUTHENTICATED"), 1, "{told:?}");
    assert_eq!(count("http", "WRONG_CREDENTIAL"), 1, "{told:?}");
    assert_eq!(count("http", "WRONG_PROJECT"), 1, "{told:?}");
    assert_eq!(count("http", "INVALID_ARGUMENT"), 3, "{told:?}");
    assert_eq!(count("grpc", "UNAUTHENTICATED"), 1, "{told:?}");
    assert_eq!(count("grpc", "ROLE_NEEDED"), 1, "{told:?}");
    assert_eq!(told.len(), 8, "{told:?}");
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_not_written_out() {
    let daemon = prompt_daemon().await;
    let stranger = daemon.agent_with("nonsense");
    for _ in 0..50 {
        stranger.exchange("tools/list", json!({})).await;
    }
    daemon.sweep().await;
    let refused = daemon.admin().log_of("door.refused").await;
    let (each, counted) = refused.split_at(20);
    assert!(each.iter().all(|entry| entry["details"]["count"].is_null()), "{each:?}");
    // What is beyond is told in one entry each time that the daemon writes its notes.
    let beyond = counted.iter().map(|entry| entry["details"]["count"].as_u64().unwrap());
    assert_eq!(beyond.sum::<u64>(), 30, "{counted:?}");
}

#[tokio::test]
async fn what_an_agent_was_refused_is_in_the_log_with_the_reason() {
    let daemon = prompt_daemon().await;
    daemon.agent("claude").read("unruled/THING").await;
    let entry = daemon.admin().log_of("secret.read").await.pop().unwrap();
    assert_eq!((&entry["outcome"], &entry["actor"]["name"]), (&json!("refused"), &json!("claude")));
    assert_eq!(entry["resources"], json!([uri("unruled/THING")]));
    assert_eq!(entry["details"]["code"], "POLICY_REFUSED");
}

#[tokio::test]
async fn entries_are_found_by_who_what_when_and_how() {
    let daemon = prompt_daemon().await;
    let (claude, admin) = (daemon.agent("claude"), daemon.admin());
    let lease = lease_on(&daemon, &claude, "production/DB").await;
    let approval = lease.content["lease"]["approval_id"].as_str().unwrap().to_owned();
    daemon.advance(minutes(30)).await;
    daemon.agent("cursor").read("unruled/THING").await;
    let late = prost_types::Timestamp { seconds: 1_795_255_200 + 1_500, nanos: 0 };
    let base = || AuditFilter { action: "secret.*".to_owned(), ..AuditFilter::default() };
    let count = async |set: fn(&mut AuditFilter)| {
        let mut filter = base();
        set(&mut filter);
        admin.log(filter).await.len()
    };
    // 8 secrets were put at the start; then two reads, one of them refused.
    assert_eq!(count(|_| {}).await, 10);
    assert_eq!(count(|f| f.action = "secret.read".to_owned()).await, 2);
    assert_eq!(count(|f| f.actor = "cursor".to_owned()).await, 1);
    assert_eq!(count(|f| f.outcome = "refused".to_owned()).await, 1);
    assert_eq!(count(|f| f.resource = uri("production/DB")).await, 2);
    assert_eq!(count(|f| f.resource = uri("production/*")).await, 3);
    assert_eq!(count(|f| f.resource = uri("nowhere/**")).await, 0);
    assert_eq!(count(|f| f.project = "default".to_owned()).await, 10);
    let filter = AuditFilter { since: Some(late), ..base() };
    assert_eq!(admin.log(filter).await.len(), 1);
    let filter = AuditFilter { until: Some(late), ..base() };
    assert_eq!(admin.log(filter).await.len(), 9);
    let filter = AuditFilter { approval: approval[..12].to_owned(), ..AuditFilter::default() };
    let about: Vec<_> = admin.log(filter).await.iter().map(|e| e["action"].clone()).collect();
    assert_eq!(
        about,
        [
            "approval.requested",
            "approval.voted",
            "approval.approved",
            "lease.issued",
            "secret.read",
            "lease.expired",
        ]
    );
    for (filter, code) in [
        (AuditFilter { action: "secret.eaten".to_owned(), ..base() }, "INVALID_ARGUMENT"),
        (AuditFilter { outcome: "maybe".to_owned(), ..base() }, "INVALID_ARGUMENT"),
        (AuditFilter { resource: "not a resource".to_owned(), ..base() }, "INVALID_ARGUMENT"),
    ] {
        let request = QueryAuditRequest { filter: Some(filter), page: None };
        let answer = admin.audit().query_audit(request).await;
        check_code(answer, tonic::Code::InvalidArgument, code);
    }
}

#[tokio::test]
async fn a_long_answer_comes_in_pages_without_gap_or_repetition() {
    let daemon = prompt_daemon().await;
    let admin = daemon.admin();
    for _ in 0..10 {
        daemon.agent("claude").read("staging/DB").await;
    }
    let filter = AuditFilter { actor: "claude".to_owned(), ..AuditFilter::default() };
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = Some(PageRequest { size: 3, token });
        let request = QueryAuditRequest { filter: Some(filter.clone()), page };
        let answer = admin.audit().query_audit(request).await.unwrap().into_inner();
        assert!(answer.entries.len() <= 3);
        seen.extend(answer.entries.iter().map(|entry| entry.seq));
        token = answer.next_token;
        pages += 1;
        if token.is_empty() {
            break;
        }
    }
    let whole = admin.log(filter).await;
    let all: Vec<_> = whole.iter().rev().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(seen, all);
    assert!(pages >= seen.len() / 3);
}

#[tokio::test]
async fn entries_are_counted_by_one_field() {
    let daemon = prompt_daemon().await;
    for _ in 0..3 {
        daemon.agent("claude").read("staging/DB").await;
    }
    let group = async |by: &str, action: &str| {
        let filter = Some(AuditFilter { action: action.to_owned(), ..AuditFilter::default() });
        let request = GroupAuditRequest { filter, by: by.to_owned() };
        let answer = daemon.admin().audit().group_audit(request).await.unwrap().into_inner();
        answer.groups.into_iter().map(|g| (g.value, g.count)).collect::<Vec<_>>()
    };
    assert_eq!(group("actor", "secret.read").await, [("claude".to_owned(), 3)]);
    assert_eq!(group("outcome", "secret.read").await, [("ok".to_owned(), 3)]);
    assert_eq!(group("resource", "secret.read").await, [(uri("staging/DB"), 3)]);
    assert_eq!(group("day", "secret.read").await, [("2026-11-21".to_owned(), 3)]);
    let actions = group("action", "secret.*").await;
    assert_eq!(actions, [("secret.put".to_owned(), 8), ("secret.read".to_owned(), 3)]);
    let request = GroupAuditRequest { filter: None, by: "mood".to_owned() };
    let answer = daemon.admin().audit().group_audit(request).await;
    check_code(answer, tonic::Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_tail_tells_each_entry_as_it_is_committed() {
    let daemon = prompt_daemon().await;
    let filter = Some(AuditFilter { action: "secret.*".to_owned(), ..AuditFilter::default() });
    let request = TailAuditRequest { filter, last: 2 };
    let mut tail = daemon.admin().audit().tail_audit(request).await.unwrap().into_inner();
    let mut next = async || within("an entry", tail.message()).await.unwrap().unwrap();
    let (first, second) = (next().await, next().await);
    assert!(first.seq < second.seq);
    daemon.agent("claude").read("staging/DB").await;
    let third = next().await;
    assert!(third.line.contains("\"secret.read\""), "{}", third.line);
    let leaf = vouchsafe_core::audit::leaf_hash(third.line.as_bytes());
    assert_eq!(third.leaf_hash, leaf.to_string());
}

#[tokio::test]
async fn an_export_is_proved_by_the_published_key_and_nothing_else() {
    let daemon = prompt_daemon().await;
    lease_on(&daemon, &daemon.agent("claude"), "production/DB").await;
    let export = daemon.admin().export().await;
    let published = fs::read_to_string(daemon.home().join("audit.pub")).unwrap();
    let key: VerifierKey = published.trim_end().parse().unwrap();
    let verify = |lines: &[u8], note: &str| {
        let lines = lines.split_inclusive(|b| *b == b'\n');
        verify_export(lines.map(|l| Ok(l[..l.len() - 1].to_vec())), note.as_bytes(), &key)
    };
    verify(&export.lines, &export.note).unwrap();
    assert_eq!(published.trim_end(), export.verifier_key);
    let edited = String::from_utf8(export.lines.clone()).unwrap().replace("claude", "cursor");
    assert!(verify(edited.as_bytes(), &export.note).is_err());
    let short = export.lines.len() - 100;
    let cut = export.lines[..short].iter().rposition(|b| *b == b'\n').unwrap();
    assert!(verify(&export.lines[..=cut], &export.note).is_err());
    let checkpoint = daemon.admin().audit().show_checkpoint(ShowCheckpointRequest {}).await;
    let checkpoint = checkpoint.unwrap().into_inner();
    assert_eq!(checkpoint.verifier_key, export.verifier_key);
    assert!(!String::from_utf8(export.lines).unwrap().contains("value-of"));
}

/// What somebody with the file in hand might do to it.
const TAMPERING: [(&str, &str); 6] = [
    (
        "edits a line",
        "UPDATE audit_entries SET line = CAST(replace(line, 'claude', 'cursor') AS BLOB) WHERE seq = (SELECT MAX(seq) - 3 FROM audit_entries)",
    ),
    (
        "edits a line and its hash",
        "UPDATE audit_entries SET line = CAST(replace(line, '\"ok\"', '\"no\"') AS BLOB), leaf = zeroblob(32) WHERE seq = (SELECT MAX(seq) - 3 FROM audit_entries)",
    ),
    (
        "deletes the last entries",
        "DELETE FROM audit_resources; DELETE FROM audit_entries WHERE seq > (SELECT MAX(seq) - 3 FROM audit_entries)",
    ),
    (
        "deletes one in the middle",
        "DELETE FROM audit_resources; DELETE FROM audit_entries WHERE seq = 20",
    ),
    (
        "puts an earlier head back",
        "UPDATE audit_head SET (size, note, tree) = \
         (SELECT size, note, tree FROM audit_checkpoints ORDER BY size LIMIT 1)",
    ),
    (
        "changes the head's note",
        "UPDATE audit_head SET note = replace(note, 'vouchsafe/', 'vouchsafe/0')",
    ),
];

#[tokio::test]
async fn a_log_that_somebody_changed_is_found_at_the_start() {
    for (what, sql) in TAMPERING {
        let mut daemon = prompt_daemon().await;
        lease_on(&daemon, &daemon.agent("claude"), "production/DB").await;
        daemon.stop().await;
        tamper(&daemon.database(), sql);
        let error = daemon.try_start().await.expect_err(what);
        let told = whole(&error);
        let named = ["audit log", "checkpoint"].iter().any(|word| told.contains(word));
        assert!(named, "{what}: {told}");
    }
}

#[tokio::test]
async fn swapped_entries_are_found_by_the_checks() {
    let mut daemon = prompt_daemon().await;
    for _ in 0..40 {
        daemon.agent("claude").read("staging/DB").await;
    }
    daemon.stop().await;
    tamper(
        &daemon.database(),
        "UPDATE audit_entries SET seq = 100000 WHERE seq = 10; \
         UPDATE audit_entries SET seq = 10 WHERE seq = 11; \
         UPDATE audit_entries SET seq = 11 WHERE seq = 100000;",
    );
    match daemon.try_start().await {
        Err(error) => assert!(whole(&error).contains("audit log"), "{}", whole(&error)),
        Ok(()) => check_found(&daemon.admin()).await,
    }
}

#[tokio::test]
async fn an_old_entry_edited_under_a_running_daemon_is_found_by_the_checks() {
    let daemon = prompt_daemon().await;
    tamper(
        &daemon.database(),
        "UPDATE audit_entries SET line = CAST(replace(line, '\"ok\"', '\"no\"') AS BLOB) WHERE seq = 5",
    );
    check_found(&daemon.admin()).await;
}

async fn check_found(admin: &Person) {
    let checks = admin.status().run_checks(RunChecksRequest {}).await.unwrap().into_inner();
    let log = checks.results.iter().find(|check| check.name == "audit log").unwrap();
    assert!(!log.ok, "{log:?}");
    assert_eq!(log.mend, "Keep the database for study and restore a backup.");
}

#[tokio::test]
async fn a_healthy_daemon_finds_nothing_wrong_with_itself() {
    let daemon = prompt_daemon().await;
    let admin = daemon.admin();
    let checks = admin.status().run_checks(RunChecksRequest {}).await.unwrap().into_inner();
    assert!(checks.results.iter().all(|check| check.ok && check.mend.is_empty()), "{checks:?}");
    main_path::check_whole(&admin.export().await);
}

#[tokio::test]
async fn what_is_asked_of_the_log_is_in_the_log() {
    let daemon = prompt_daemon().await;
    let admin = daemon.admin();
    admin.log_of("secret.read").await;
    let asked = admin.log_of("audit.queried").await;
    assert_eq!(asked[0]["details"], json!({ "action": "secret.read" }));
    check_said(
        daemon.grpc("bob").audit().show_checkpoint(ShowCheckpointRequest {}).await,
        tonic::Code::PermissionDenied,
        "ROLE_NEEDED",
        "ShowCheckpoint needs the role auditor, and bob has approver",
        "Ask an admin for the role auditor, or sign in as somebody who has it.",
    );
}

/// Changes the file as somebody would who does not care for triggers.
fn tamper(database: &Path, sql: &str) {
    let connection = Connection::open(database).unwrap();
    let triggers: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

/// An error and all that is behind it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[tokio::test]
async fn a_home_that_starts_and_stops_says_so_in_its_log() {
    let mut daemon = TestDaemon::start().await;
    daemon.restart().await;
    let admin = daemon.admin();
    let filter = AuditFilter { action: "daemon.*".to_owned(), ..AuditFilter::default() };
    let told: Vec<_> = admin.log(filter).await.iter().map(|e| e["action"].clone()).collect();
    let end = &told[told.len() - 3..];
    assert_eq!(end, ["daemon.started", "daemon.stopped", "daemon.started"]);
}

#[tokio::test]
async fn an_export_is_verified_by_a_program_written_from_the_documentation_alone() {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output().await;
    if !has.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: there is no python3 with the module cryptography on this machine");
        return;
    }
    let daemon = prompt_daemon().await;
    lease_on(&daemon, &daemon.agent("claude"), "production/DB").await;
    let export = daemon.admin().export().await;
    let file = daemon.home().join("export");
    fs::write(file.with_extension("checkpoint"), &export.note).unwrap();
    let text = String::from_utf8(export.lines).unwrap();
    let (count, lines) = (text.lines().count(), text.lines().collect::<Vec<_>>());
    let without = [&lines[..9], &lines[10..]].concat().join("\n") + "\n";
    let swapped = [&lines[..9], &[lines[10], lines[9]], &lines[11..]].concat().join("\n") + "\n";
    let cut = lines[..count - 1].join("\n") + "\n";
    let last = text.replacen("audit.exported", "audit.imported", 1);
    for (what, text, told) in [
        ("as it is", text.clone(), format!("{count} entries are whole")),
        ("edited", text.replacen("claude", "cursor", 1), "is not what it was".to_owned()),
        ("without one", without, "entry 9 is missing or moved".to_owned()),
        ("swapped", swapped, "entry 9 is missing or moved".to_owned()),
        ("cut", cut, format!("{} entries, and {count} were signed", count - 1)),
        ("the last edited", last, "the last entries are not what was signed".to_owned()),
    ] {
        fs::write(&file, text).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/verify_export.py");
        let mut python = Command::new("python3");
        python.args([script.as_path(), file.as_path()]).arg(&export.verifier_key);
        let run = python.output().await.unwrap();
        let said = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert!(said.contains(&told), "{what}: {said}");
        assert_eq!(run.status.success(), what == "as it is", "{what}: {said}");
    }
}

#[tokio::test]
async fn a_wall_clock_that_is_set_is_in_the_log() {
    let daemon = prompt_daemon().await;
    daemon.advance(minutes(1)).await;
    daemon.clock.set_back_wall(Duration::from_secs(30));
    daemon.sweep().await;
    daemon.clock.advance_wall(minutes(90));
    daemon.sweep().await;
    assert_eq!(daemon.admin().log_of("clock.jumped").await.len(), 2);
}
