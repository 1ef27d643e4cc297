//! A value that is made here is seen by nobody but the agent that reads it under a lease.

use data_encoding::{BASE64, HEXLOWER};
use prost::Message;
use serde_json::json;
use vouchsafe_proto::v1::generator::Kind;
use vouchsafe_proto::v1::{
    AuditFilter, Ed25519Kind, ListLeasesRequest, ListSecretVersionsRequest, ListSecretsRequest,
    PassphraseKind, QueryAuditRequest, RsaKind, RunChecksRequest, SecretSettings,
    ShowStatusRequest, UuidKind,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::mcp::uri;

use super::{Desk, free, password};
use crate::prompt_daemon;

/// All that was ever said, byte for byte.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    fn message(&mut self, message: &impl Message) {
        self.0.extend(message.encode_to_vec());
    }

    fn holds(&self, needle: &[u8]) -> bool {
        self.0.windows(needle.len()).any(|window| window == needle)
    }
}

/// Everything that the doors say of secrets, to people and to an agent that may not see values.
async fn everything(daemon: &TestDaemon, path: &str, said: &mut Said) {
    let desk = Desk::of(daemon);
    let secrets = || desk.0.secrets();
    said.message(&desk.show(path).await.unwrap());
    let list = ListSecretsRequest::default();
    said.message(&secrets().list_secrets(list).await.unwrap().into_inner());
    let versions = ListSecretVersionsRequest { path: path.to_owned(), project: String::new() };
    said.message(&secrets().list_secret_versions(versions).await.unwrap().into_inner());
    let mut status = desk.0.status();
    said.message(&status.show_status(ShowStatusRequest {}).await.unwrap().into_inner());
    said.message(&status.run_checks(RunChecksRequest {}).await.unwrap().into_inner());
    let leases = ListLeasesRequest::default();
    said.message(&desk.0.leases().list_leases(leases).await.unwrap().into_inner());
    for approval in desk.0.list(&[]).await {
        said.message(&approval);
    }
    let filter = Some(AuditFilter::default());
    let query = QueryAuditRequest { filter, page: None };
    said.message(&desk.0.audit().query_audit(query).await.unwrap().into_inner());
    said.0.extend(desk.0.export().await.lines);

    let blind = daemon.agent("blind");
    for (tool, arguments) in [
        ("list_secrets", json!({})),
        ("read_secret", json!({ "uri": uri(path) })),
        ("list_leases", json!({})),
        ("whoami", json!({})),
    ] {
        let parameters = json!({ "name": tool, "arguments": arguments });
        said.0.extend(blind.exchange("tools/call", parameters).await.body.into_bytes());
    }
    let parameters = json!({ "uri": uri(path) });
    said.0.extend(blind.exchange("resources/read", parameters).await.body.into_bytes());
}

#[tokio::test]
async fn a_generated_value_is_shown_by_no_door() {
    let daemon = prompt_daemon().await;
    let desk = Desk::of(&daemon);
    let (mut said, mut values) = (Said::default(), Vec::new());
    for (name, kind) in [
        ("PASSWORD", password(32, "ascii")),
        ("PASSPHRASE", Kind::Passphrase(PassphraseKind { words: 6 })),
        ("UUID", Kind::Uuid(UuidKind {})),
        ("ED25519", Kind::Ed25519(Ed25519Kind {})),
        ("RSA", Kind::Rsa(RsaKind { bits: 2048 })),
    ] {
        let path = format!("staging/{name}");
        said.message(&desk.generate(&path, kind).await.unwrap());
        values.push(free(&daemon, &path).await);
        said.message(&desk.rotate(&path).await.unwrap());
        values.push(free(&daemon, &path).await);
        said.message(&desk.roll_back(&path, 1).await.unwrap());
        assert_eq!(free(&daemon, &path).await, values[values.len() - 2]);
        let settings = SecretSettings {
            rotate_every: Some("0 3 * * *".to_owned()),
            ..SecretSettings::default()
        };
        said.message(&desk.update(&path, settings).await.unwrap());
        everything(&daemon, &path, &mut said).await;
        said.message(&desk.delete(&path).await.unwrap());
        said.message(&desk.undelete(&path, "").await.unwrap());
    }
    assert!(said.0.len() > 100_000, "there is much to look through: {}", said.0.len());
    for value in values {
        // Of a key: what is in its middle, for its first lines are the same in every one.
        let inner = match value.strip_prefix("-----BEGIN PRIVATE KEY-----\n") {
            Some(rest) => rest.lines().map(str::to_owned).find(|line| line.len() > 40).unwrap(),
            None => value.clone(),
        };
        let inner = &inner[inner.len().saturating_sub(40)..];
        for form in
            [inner.to_owned(), BASE64.encode(value.as_bytes()), HEXLOWER.encode(value.as_bytes())]
        {
            assert!(!said.holds(form.as_bytes()), "a value was shown");
        }
    }
}
