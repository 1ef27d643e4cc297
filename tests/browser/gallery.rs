//! A daemon after three days of work, for looking at: its people, keys, secrets, and what agents
//! have done with them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    CreateKeyRequest, DeleteSecretRequest, PutSecretRequest, Role, SecretSettings,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::mcp::uri;

use super::VALUE;

const RULES: &str = r#"
[[rule]]
name        = "Production secrets"
resource    = "vouchsafe://secrets/production/*"
operations  = ["list", "use", "read"]
approvers   = ["group:oncall"]
require_reason = true
remember    = true
lease       = { default = "15m", max = "1h", uses = 20 }
pending_for = "1h"

[[rule]]
name        = "Payments need two people"
resource    = "vouchsafe://secrets/payments/*"
operations  = ["list", "read"]
approvers   = ["group:oncall"]
quorum      = 2
lease       = { default = "10m", max = "30m" }
pending_for = "4h"

[[rule]]
name        = "Staging is free"
resource    = "vouchsafe://secrets/staging/*"
operations  = ["list", "use", "read"]
approval    = "none"
lease       = { default = "4h", max = "8h" }
"#;

/// A mail server that nobody runs, so that there is something to see of messages.
const SETTINGS: &str = r#"
[notify.email]
server = "127.0.0.1:9"
tls    = "none"
from   = "Vouchsafe <vouchsafe@example.com>"
"#;

const SECRETS: [(&str, &str, &str); 6] = [
    ("production/DATABASE_URL", "The primary, read and write", "platform"),
    ("production/SENTRY_TOKEN", "Uploads source maps", "platform"),
    ("payments/STRIPE_KEY", "Live key of the shop", "payments"),
    ("staging/DATABASE_URL", "The replica that tests use", "platform"),
    ("staging/S3_KEY", "Uploads of the staging site", "web"),
    ("staging/OLD_TOKEN", "No longer in use", "web"),
];
/// How often something is read in each hour of a day.
const READS: [u8; 24] = [2, 4, 5, 3, 1, 3, 4, 6, 5, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
const HOURS: usize = 70;
const HOUR: Duration = Duration::from_hours(1);

/// A daemon, and where on its pages there is what to look at.
pub(super) struct Gallery {
    pub(super) daemon: TestDaemon,
    pub(super) places: HashMap<&'static str, String>,
}

pub(super) async fn gallery() -> Gallery {
    let mut daemon =
        TestDaemon::builder().empty().settings(SETTINGS).block_for(Duration::ZERO).start().await;
    people(&mut daemon).await;
    assert!(daemon.load_rules(RULES).await.problems.is_empty());
    secrets(&daemon).await;
    days(&daemon).await;
    let places = asks(&daemon).await;
    Gallery { daemon, places }
}

async fn people(daemon: &mut TestDaemon) {
    for name in ["ann@example.com", "cat@example.com"] {
        daemon.add_user(name, &[Role::Approver], &["oncall"]).await;
    }
    let all = [Role::Approver, Role::Operator, Role::Auditor];
    daemon.add_user("bob@example.com", &all, &["oncall"]).await;
    daemon.add_user("eve@example.com", &[Role::Auditor], &[]).await;
    daemon.add_user("sam", &[], &[]).await;
    daemon.add_key("claude-desktop", "ann@example.com", &["secrets:read", "secrets:reveal"]).await;
    daemon.add_key("cursor", "bob@example.com", &["secrets:read", "secrets:reveal"]).await;
    daemon
        .add_key_as(CreateKeyRequest {
            name: "deploy-bot".to_owned(),
            scopes: vec!["secrets:read".to_owned(), "secrets:write".to_owned()],
            owner: "bob@example.com".to_owned(),
            monthly: 1_000,
            ..CreateKeyRequest::default()
        })
        .await;
}

async fn secrets(daemon: &TestDaemon) {
    let admin = daemon.admin();
    for (path, description, team) in SECRETS {
        let settings = SecretSettings {
            description: Some(description.to_owned()),
            labels: [("team".to_owned(), team.to_owned())].into(),
            owner: Some("ann@example.com".to_owned()),
            ..SecretSettings::default()
        };
        let put = PutSecretRequest {
            path: path.to_owned(),
            value: VALUE.as_bytes().to_vec(),
            settings: Some(settings),
            ..PutSecretRequest::default()
        };
        admin.secrets().put_secret(put).await.unwrap();
    }
    let old = DeleteSecretRequest {
        path: "staging/OLD_TOKEN".to_owned(),
        reason: "nobody uses it".to_owned(),
        ..DeleteSecretRequest::default()
    };
    admin.secrets().delete_secret(old).await.unwrap();
    admin.put("production/DATABASE_URL", VALUE).await;
}

async fn days(daemon: &TestDaemon) {
    let (claude, cursor) = (daemon.agent("claude-desktop"), daemon.agent("cursor"));
    for hour in 0..HOURS {
        let reads = READS[hour % READS.len()];
        for n in 0..reads {
            let path = if n % 3 == 2 { "staging/S3_KEY" } else { "staging/DATABASE_URL" };
            claude.read(path).await;
        }
        if hour % 11 == 3 {
            // No rule is for it.
            cursor.read("internal/ROOT_TOKEN").await;
        }
        daemon.clock.advance(HOUR);
        if hour % 8 == 7 {
            daemon.sweep().await;
        }
    }
    daemon.sweep().await;
}

/// What was asked for today, and where it can be seen.
async fn asks(daemon: &TestDaemon) -> HashMap<&'static str, String> {
    let (ann, bob) = (daemon.grpc("ann@example.com"), daemon.grpc("bob@example.com"));
    let claude = daemon.agent("claude-desktop");
    let ask = async |key: &str, path: &str, reason: &str| -> String {
        let arguments = json!({ "resources": [uri(path)], "operation": "read", "reason": reason });
        daemon.agent(key).call("request_access", arguments).await.approval()
    };
    let settled = ask(
        "claude-desktop",
        "production/SENTRY_TOKEN",
        "INC-1039: the upload of source maps fails since the last release",
    )
    .await;
    let shown = bob.show(&settled).await.unwrap();
    bob.approve(&shown).await.unwrap();
    let lease = claude.read("production/SENTRY_TOKEN").await.lease();
    let denied = ask("cursor", "production/DATABASE_URL", "I would like to look around").await;
    let shown = ann.show(&denied).await.unwrap();
    ann.deny(&shown, "Say which ticket this is for").await.unwrap();
    let ended = claude.read("staging/S3_KEY").await.lease();
    daemon.admin().revoke(Which::Id(ended.clone())).await.unwrap();
    claude.read("staging/DATABASE_URL").await;
    daemon.clock.advance(Duration::from_mins(3));
    ask("cursor", "payments/STRIPE_KEY", "Refund the order 88121 of this morning").await;
    daemon.clock.advance(Duration::from_mins(4));
    let pending = ask(
        "claude-desktop",
        "production/DATABASE_URL",
        "INC-1042: the replica lags by 40 minutes; I compare its settings with the primary's",
    )
    .await;
    daemon.clock.advance(Duration::from_secs(50));
    HashMap::from([
        ("PENDING", pending),
        ("SETTLED", settled),
        ("LEASE", lease),
        ("ENDED", ended),
        ("SECRET", "production/DATABASE_URL".to_owned()),
        ("TOKEN", daemon.token("bob@example.com").to_owned()),
        ("AUDITOR", daemon.token("eve@example.com").to_owned()),
        ("NOBODY", daemon.token("sam").to_owned()),
    ])
}
