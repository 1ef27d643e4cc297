//! What operators do with secrets, and what they are told where it cannot be done.

mod importing;
mod unseen;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tonic::{Code, Status};
use vouchsafe_proto::v1::generator::Kind;
use vouchsafe_proto::v1::{
    AuditFilter, DeleteSecretRequest, DeleteSecretResponse, Ed25519Kind, GenerateSecretRequest,
    Generator, ListSecretVersionsRequest, ListSecretsRequest, PasswordKind, PutSecretRequest,
    RollBackSecretRequest, RotateSecretRequest, RsaKind, Secret, SecretOrigin, SecretSettings,
    SecretVersion, ShowSecretRequest, UndeleteSecretRequest, UpdateSecretRequest, UuidKind,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::grpc::Person;
use vouchsafe_tests::mcp::uri;

use crate::{check_code, check_said, minutes, prompt_daemon};

const NO_SECRETS: &str = "`vouchsafe secrets list` shows which there are.";

/// The admin, as the operator of secrets.
#[derive(Debug)]
pub(crate) struct Desk(pub(crate) Person);

impl Desk {
    pub(crate) fn of(daemon: &TestDaemon) -> Self {
        Self(daemon.admin())
    }

    pub(crate) async fn generate(&self, path: &str, kind: Kind) -> Result<Secret, Status> {
        self.generate_with(path, kind, SecretSettings::default()).await
    }

    pub(crate) async fn generate_with(
        &self,
        path: &str,
        kind: Kind,
        settings: SecretSettings,
    ) -> Result<Secret, Status> {
        let request = GenerateSecretRequest {
            path: path.to_owned(),
            generator: Some(Generator { kind: Some(kind) }),
            settings: Some(settings),
            ..GenerateSecretRequest::default()
        };
        self.0.secrets().generate_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn put_with(
        &self,
        path: &str,
        settings: SecretSettings,
    ) -> Result<Secret, Status> {
        let request = PutSecretRequest {
            path: path.to_owned(),
            value: b"given".to_vec(),
            settings: Some(settings),
            ..PutSecretRequest::default()
        };
        self.0.secrets().put_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn put_proposed(&self, path: &str, approval: &str) -> Result<Secret, Status> {
        let request = PutSecretRequest {
            path: path.to_owned(),
            from_approval: approval.to_owned(),
            ..PutSecretRequest::default()
        };
        self.0.secrets().put_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn rotate(&self, path: &str) -> Result<Secret, Status> {
        let request = RotateSecretRequest { path: path.to_owned(), project: String::new() };
        self.0.secrets().rotate_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn roll_back(&self, path: &str, to_version: u64) -> Result<Secret, Status> {
        let (path, project) = (path.to_owned(), String::new());
        let request = RollBackSecretRequest { path, project, to_version };
        self.0.secrets().roll_back_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn update(
        &self,
        path: &str,
        settings: SecretSettings,
    ) -> Result<Secret, Status> {
        let (path, project) = (path.to_owned(), String::new());
        let request = UpdateSecretRequest { path, project, settings: Some(settings) };
        self.0.secrets().update_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<DeleteSecretResponse, Status> {
        let (path, project) = (path.to_owned(), String::new());
        let request = DeleteSecretRequest { path, project, reason: "not needed".to_owned() };
        self.0.secrets().delete_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn undelete(&self, path: &str, id: &str) -> Result<Secret, Status> {
        let (path, project, id) = (path.to_owned(), String::new(), id.to_owned());
        let request = UndeleteSecretRequest { path, project, id };
        self.0.secrets().undelete_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn show(&self, path: &str) -> Result<Secret, Status> {
        let request = ShowSecretRequest { path: path.to_owned(), project: String::new() };
        self.0.secrets().show_secret(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn versions(&self, path: &str) -> Vec<SecretVersion> {
        let request = ListSecretVersionsRequest { path: path.to_owned(), project: String::new() };
        self.0.secrets().list_secret_versions(request).await.unwrap().into_inner().versions
    }

    pub(crate) async fn list(&self, request: ListSecretsRequest) -> Vec<Secret> {
        self.0.secrets().list_secrets(request).await.unwrap().into_inner().secrets
    }
}

pub(crate) fn password(length: u32, alphabet: &str) -> Kind {
    let (alphabet, characters) = (alphabet.to_owned(), String::new());
    Kind::Password(PasswordKind { length, alphabet, characters })
}

pub(crate) const fn days(count: u64) -> Duration {
    minutes(count * 24 * 60)
}

/// What claude reads where nobody is asked.
pub(crate) async fn free(daemon: &TestDaemon, path: &str) -> String {
    daemon.agent("claude").read(path).await.value().to_owned()
}

#[tokio::test]
async fn a_generated_value_is_of_its_kind_and_what_is_known_of_it_is_shown() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    for (name, kind, bytes) in [
        ("HEX", password(48, "hex"), 48),
        ("UUID", Kind::Uuid(UuidKind {}), 36),
        ("ED", Kind::Ed25519(Ed25519Kind {}), 119),
    ] {
        let path = format!("staging/{name}");
        let made = desk.generate(&path, kind.clone()).await.unwrap();
        assert_eq!((made.version, made.bytes, made.origin()), (1, bytes, SecretOrigin::Generated));
        assert_eq!(made.generator, Some(Generator { kind: Some(kind.clone()) }));
        assert_eq!(made.public_key.is_empty(), !matches!(kind, Kind::Ed25519(_)), "{made:?}");
        assert_eq!(desk.show(&path).await.unwrap(), made);
        let value = free(&daemon, &path).await;
        assert_eq!(u64::try_from(value.len()).unwrap(), bytes);
        let again = desk.rotate(&path).await.unwrap();
        assert_eq!((again.version, again.origin()), (2, SecretOrigin::Rotated));
        assert_eq!(again.generator, made.generator);
        assert_ne!(free(&daemon, &path).await, value);
    }
    let rsa = desk.generate("staging/RSA", Kind::Rsa(RsaKind { bits: 2048 })).await.unwrap();
    assert!(rsa.public_key.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{rsa:?}");
    let value = free(&daemon, "staging/RSA").await;
    assert!(value.starts_with("-----BEGIN PRIVATE KEY-----\n"));

    let entries = desk.0.log_of("secret.generated").await;
    let details = &entries.first().unwrap()["details"];
    let generator = "password of 48 characters (hex)";
    assert_eq!(*details, json!({ "bytes": 48, "generator": generator, "version": 1 }));
}

#[tokio::test]
async fn a_given_value_ends_the_generator_and_its_schedule() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let monthly =
        SecretSettings { rotate_every: Some("0 3 1 * *".to_owned()), ..SecretSettings::default() };
    let made = desk.generate_with("staging/X", password(0, ""), monthly.clone()).await.unwrap();
    // The clock of tests stands at 2026-11-21T10:00:00Z.
    assert_eq!(
        (made.rotate_every.as_str(), made.rotates_at.unwrap().seconds),
        ("0 3 1 * *", 1_796_094_000)
    );
    desk.0.put("staging/X", "given").await;
    let given = desk.show("staging/X").await.unwrap();
    assert_eq!(
        (given.generator, given.rotate_every, given.rotates_at),
        (None, String::new(), None)
    );
    let message = "the value of staging/X was given by somebody, so that nothing says how to make \
                   another";
    let next = "Make one with `vouchsafe secrets generate staging/X`, or put one.";
    let conflict = Code::FailedPrecondition;
    check_said(desk.rotate("staging/X").await, conflict, "NOT_GENERATED", message, next);
    let late = desk.update("staging/X", monthly.clone()).await;
    check_said(late, conflict, "NOT_GENERATED", message, next);
    check_code(desk.put_with("staging/NEW", monthly).await, conflict, "NOT_GENERATED");
    check_code(desk.show("staging/NEW").await, Code::NotFound, "SECRET_NOT_FOUND");
    let refused =
        desk.0.log(AuditFilter { outcome: "refused".to_owned(), ..AuditFilter::default() });
    assert_eq!(refused.await.len(), 3);
}

#[tokio::test]
async fn a_value_that_was_made_is_stored_only_over_what_was_expected() {
    let daemon = prompt_daemon().await;
    let secrets = daemon.admin().secrets();
    let request = |expected| GenerateSecretRequest {
        path: "staging/DB".to_owned(),
        generator: Some(Generator { kind: Some(password(0, "")) }),
        expected_version: Some(expected),
        ..GenerateSecretRequest::default()
    };
    let mut secrets = secrets;
    let there = secrets.generate_secret(request(0)).await;
    check_code(there, Code::AlreadyExists, "ALREADY_EXISTS");
    let other = secrets.generate_secret(request(2)).await;
    check_code(other, Code::FailedPrecondition, "VERSION_CONFLICT");
    let done = secrets.generate_secret(request(1)).await.unwrap().into_inner();
    assert_eq!(done.version, 2);
}

#[tokio::test]
async fn after_a_rotation_leases_on_the_version_before_release_nothing() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    desk.generate("production/GEN", password(24, "")).await.unwrap();
    let claude = daemon.agent("claude");
    crate::lease_on(&daemon, &claude, "production/GEN").await;
    desk.rotate("production/GEN").await.unwrap();
    assert_eq!(claude.read("production/GEN").await.status(), "pending");
    let rotated = desk.0.log_of("secret.rotated").await;
    assert_eq!(rotated.len(), 1);
    assert_eq!(rotated[0]["actor"]["name"], "admin");
}

#[tokio::test]
async fn an_earlier_value_becomes_the_newest_version() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let made = desk.generate("staging/X", password(20, "hex")).await.unwrap();
    let first = free(&daemon, "staging/X").await;
    desk.0.put("staging/X", "given").await;
    let back = desk.roll_back("staging/X", 1).await.unwrap();
    assert_eq!((back.version, back.bytes, back.origin()), (3, 20, SecretOrigin::RolledBack));
    assert_eq!(back.generator, made.generator);
    assert_eq!(free(&daemon, "staging/X").await, first);
    // A value that was made here can be made anew.
    assert_eq!(desk.rotate("staging/X").await.unwrap().version, 4);
    let again = desk.roll_back("staging/X", 2).await.unwrap();
    assert_eq!((again.version, again.generator), (5, None));
    assert_eq!(free(&daemon, "staging/X").await, "given");
    let origins: Vec<_> = desk.versions("staging/X").await.iter().map(|v| v.origin()).collect();
    let (back, rotated) = (SecretOrigin::RolledBack, SecretOrigin::Rotated);
    assert_eq!(origins, [back, rotated, back, SecretOrigin::Put, SecretOrigin::Generated]);

    let look = "`vouchsafe secrets versions staging/X` shows which there are.";
    let missing = "staging/X has no version 9; it is at 5";
    let refused = desk.roll_back("staging/X", 9).await;
    check_said(refused, Code::NotFound, "SECRET_NOT_FOUND", missing, look);
    let current = "staging/X is at version 5 already";
    let refused = desk.roll_back("staging/X", 5).await;
    check_said(refused, Code::InvalidArgument, "INVALID_ARGUMENT", current, look);
    let entry = &desk.0.log_of("secret.rolled_back").await[0]["details"];
    assert_eq!(*entry, json!({ "from": 1, "version": 3 }));
}

#[tokio::test]
async fn what_is_said_of_a_secret_can_be_changed_and_the_log_keeps_no_words_of_it() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = SecretSettings {
        description: Some("the MARKED-DESCRIPTION".to_owned()),
        labels: HashMap::from([label("team", "MARKED-LABEL"), label("tier", "gold")]),
        owner: Some("ann".to_owned()),
        expires_at: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        ..SecretSettings::default()
    };
    let said = desk.update("staging/DB", settings.clone()).await.unwrap();
    assert_eq!((said.version, said.description.as_str()), (1, "the MARKED-DESCRIPTION"));
    assert_eq!((said.owner.as_str(), &said.labels), ("ann", &settings.labels));
    assert_eq!(said.expires_at, settings.expires_at);
    let less = SecretSettings {
        remove_labels: vec!["tier".to_owned(), "none".to_owned()],
        owner: Some(String::new()),
        never_expires: true,
        ..SecretSettings::default()
    };
    let less = desk.update("staging/DB", less).await.unwrap();
    assert_eq!((less.owner.as_str(), less.expires_at, less.labels.len()), ("", None, 1));
    assert_eq!(less.description, said.description);
    assert_eq!(free(&daemon, "staging/DB").await, value_of("staging/DB"));

    let entries = desk.0.log_of("secret.updated").await;
    assert_eq!(
        entries[0]["details"],
        json!({
            "changed": ["description", "labels", "owner", "expires_at"],
            "expires_at": "2027-01-15T08:00:00.000Z",
            "owner": "ann",
        })
    );
    let lines = String::from_utf8(desk.0.export().await.lines).unwrap();
    assert!(!lines.contains("MARKED"), "the log outlives what is purged");

    let owner = |name: &str| SecretSettings { owner: Some(name.to_owned()), ..Default::default() };
    check_said(
        desk.update("staging/DB", owner("nobody")).await,
        Code::NotFound,
        "USER_NOT_FOUND",
        "there is no enabled user `nobody` to own the secret",
        "`vouchsafe users list` shows who there is.",
    );
    let labels = HashMap::from([label("a b", "x")]);
    let refused = desk.update("staging/DB", SecretSettings { labels, ..Default::default() }).await;
    check_said(
        refused,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "`a b` is no label's name: 1 to 40 letters, digits, `-`, `_`, `.` and `/`",
        "Write it as team=payments.",
    );
    let description = Some("x".repeat(301));
    let long = SecretSettings { description, ..Default::default() };
    check_code(desk.update("staging/DB", long).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    let gone = desk.update("staging/NONE", owner("ann")).await;
    let message = "there is no secret staging/NONE";
    check_said(gone, Code::NotFound, "SECRET_NOT_FOUND", message, NO_SECRETS);
}

#[tokio::test]
async fn secrets_are_found_by_label() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    for (path, team) in [("staging/A", "red"), ("staging/B", "blue"), ("other/C", "red")] {
        let labels = HashMap::from([("team".to_owned(), team.to_owned())]);
        desk.put_with(path, SecretSettings { labels, ..Default::default() }).await.unwrap();
    }
    let found = |pattern: &'static str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (pattern, labels) = (pattern.to_owned(), labels.collect());
        desk.list(ListSecretsRequest { pattern, labels, ..ListSecretsRequest::default() })
    };
    let paths = |secrets: Vec<Secret>| secrets.into_iter().map(|s| s.path).collect::<Vec<_>>();
    assert_eq!(paths(found("", &[("team", "red")]).await), ["other/C", "staging/A"]);
    assert_eq!(paths(found("", &[("team", "")]).await), ["other/C", "staging/A", "staging/B"]);
    assert_eq!(paths(found("staging/*", &[("team", "red")]).await), ["staging/A"]);
    assert_eq!(paths(found("", &[("team", "red"), ("tier", "")]).await), [""; 0]);
}

#[tokio::test]
async fn a_deleted_secret_can_be_taken_back_until_it_is_purged() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let deleted = desk.delete("staging/DB").await.unwrap();
    let thirty_days = 30 * 24 * 60 * 60;
    // The clock of tests stands still.
    let now = desk.0.log_of("secret.deleted").await[0]["time"].clone();
    assert_eq!(now, "2026-11-21T10:00:00.000Z");
    assert_eq!(deleted.purged_at.unwrap().seconds, 1_795_255_200 + thirty_days);
    let list = |deleted| desk.list(ListSecretsRequest { deleted, ..Default::default() });
    let gone = list(true).await;
    assert_eq!((gone.len(), gone[0].path.as_str(), gone[0].deleted), (1, "staging/DB", true));
    assert_eq!(gone[0].purged_at, deleted.purged_at);
    assert!(list(false).await.iter().all(|secret| secret.path != "staging/DB"));

    let back = desk.undelete("staging/DB", "").await.unwrap();
    assert_eq!((back.deleted, back.version, back.id.as_str()), (false, 1, gone[0].id.as_str()));
    assert_eq!(free(&daemon, "staging/DB").await, value_of("staging/DB"));
    assert!(list(true).await.is_empty());
    let none = "`vouchsafe secrets list --deleted` shows which can be taken back.";
    let message = "no deleted secret was at staging/DB";
    let again = desk.undelete("staging/DB", "").await;
    check_said(again, Code::NotFound, "SECRET_NOT_FOUND", message, none);

    // Several at one path: the last one, or the one that is named.
    desk.delete("staging/DB").await.unwrap();
    daemon.advance(minutes(1)).await;
    let second = desk.0.put("staging/DB", "second").await;
    let taken = desk.undelete("staging/DB", "").await;
    check_said(
        taken,
        Code::FailedPrecondition,
        "PATH_TAKEN",
        "there is a secret staging/DB again, at version 1",
        "Delete that one first: `vouchsafe secrets delete staging/DB`.",
    );
    desk.delete("staging/DB").await.unwrap();
    assert_eq!(list(true).await.len(), 2);
    assert_eq!(desk.undelete("staging/DB", "").await.unwrap().id, second.id);
    desk.delete("staging/DB").await.unwrap();
    assert_eq!(desk.undelete("staging/DB", &back.id).await.unwrap().id, back.id);
    assert_eq!(free(&daemon, "staging/DB").await, value_of("staging/DB"));
    let bad = desk.undelete("staging/DB", "sec_x").await;
    let message = "`sec_x` is not the id of a secret";
    check_said(bad, Code::InvalidArgument, "INVALID_ARGUMENT", message, none);
    let entries = desk.0.log_of("secret.undeleted").await;
    assert_eq!(entries.iter().filter(|entry| entry["outcome"] == "ok").count(), 3);
}

#[tokio::test]
async fn whoever_has_no_lease_any_more_has_none_after_an_undelete() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let claude = daemon.agent("claude");
    crate::lease_on(&daemon, &claude, "production/DB").await;
    assert_eq!(desk.delete("production/DB").await.unwrap().leases_revoked, 1);
    desk.undelete("production/DB", "").await.unwrap();
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}

const WRITES: &str = r#"
[[rule]]
name = "Written"
resource = "vouchsafe://secrets/staging/*"
operations = ["list", "read", "write"]
approvers = ["group:oncall"]
"#;

/// An agent proposes a value, the secret moves on, and people approve it all the same.
pub(crate) async fn conflicted(daemon: &mut TestDaemon, proposed: &str) -> String {
    daemon.add_key("writer", "ann", &["secrets:read", "secrets:write"]).await;
    let arguments = json!({
        "uri": uri("staging/DB"), "value": proposed, "description": "as proposed",
        "reason": "the old one leaked",
    });
    let asked = daemon.agent("writer").call("write_secret", arguments).await;
    daemon.admin().put("staging/DB", "came-between").await;
    let cat = daemon.grpc("cat");
    let shown = cat.show(&asked.approval()).await.unwrap();
    cat.approve(&shown).await.unwrap();
    asked.approval()
}

#[tokio::test]
async fn what_met_a_changed_secret_can_be_put_after_all() {
    let builder = TestDaemon::builder().block_for(Duration::ZERO).rules(WRITES);
    let mut daemon = builder.start().await;
    let approval = conflicted(&mut daemon, "the-proposed-value").await;
    let desk = Desk::of(&daemon);
    let claude = daemon.agent("claude");
    let read = crate::lease_on(&daemon, &claude, "staging/DB").await;
    assert_eq!(read.value(), "came-between");
    let other = desk.put_proposed("production/DB", &approval).await;
    let message = format!("{approval} does not propose a value for production/DB");
    let next = format!("`vouchsafe approvals show {approval}` shows what it is about.");
    check_said(other, Code::InvalidArgument, "INVALID_ARGUMENT", &message, &next);

    let put = desk.put_proposed("staging/DB", &approval).await.unwrap();
    assert_eq!((put.version, put.origin()), (3, SecretOrigin::Proposed));
    assert_eq!((put.description.as_str(), put.bytes), ("as proposed", 18));
    let read = crate::lease_on(&daemon, &claude, "staging/DB").await;
    assert_eq!(read.value(), "the-proposed-value");
    assert_eq!(desk.versions("staging/DB").await[0].approval_id, approval);
    let again = desk.put_proposed("staging/DB", &approval).await;
    check_said(
        again,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
        &format!("the value proposed in {approval} is stored already, as version 3"),
        "`vouchsafe secrets versions staging/DB` shows it.",
    );
    let none = desk.put_proposed("staging/DB", "ap_0000000000000000").await;
    check_code(none, Code::NotFound, "APPROVAL_NOT_FOUND");
}

#[tokio::test]
async fn what_was_not_a_conflict_cannot_be_put() {
    let builder = TestDaemon::builder().block_for(Duration::ZERO).rules(WRITES);
    let mut daemon = builder.start().await;
    daemon.add_key("writer", "ann", &["secrets:read", "secrets:write"]).await;
    let arguments = json!({ "uri": uri("staging/DB"), "value": "proposed-value" });
    let asked = daemon.agent("writer").call("write_secret", arguments).await.approval();
    let desk = Desk::of(&daemon);
    let next = "Only what was approved and met a secret that had changed can be put so.";
    for status in ["pending", "approved"] {
        let refused = desk.put_proposed("staging/DB", &asked).await;
        let message = format!("{asked} is {status}, and holds no value that is still to be put");
        check_said(refused, Code::InvalidArgument, "INVALID_ARGUMENT", &message, next);
        let cat = daemon.grpc("cat");
        let shown = cat.show(&asked).await.unwrap();
        if status == "pending" {
            cat.approve(&shown).await.unwrap();
        }
    }
}
