//! What an approver saw is what was applied: random days of proposals, answers, operators' own
//! changes and restarts, held against a plain model. `CHANGES_SEED=n` lives one day again.

use std::collections::BTreeMap;

use serde_json::json;
use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::{Approval, ApprovalStatus, DeleteSecretRequest};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::grpc::{no, yes};
use vouchsafe_tests::mcp::uri;
use vouchsafe_tests::process::setting;

use crate::minutes;

const RULES: &str = r#"
[[rule]]
name = "Changes"
resource = "vouchsafe://secrets/p/*"
operations = ["read", "write", "delete"]
approvers = ["group:oncall"]

[rule.auto_approve]
operations = ["read"]
"#;

const PATHS: [&str; 2] = ["p/A", "p/B"];
const WRITERS: [&str; 2] = ["writer-1", "writer-2"];
const SEEDS: u64 = 4;
const STEPS: u64 = 40;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// A secret as it should be: which making of it, at which version, with which value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Secret {
    making: u32,
    version: u64,
    value: Option<String>,
}

/// What was proposed, as the agent said it and as people saw it.
#[derive(Clone, Debug)]
struct Proposed {
    path: &'static str,
    /// None: to be deleted.
    value: Option<String>,
    against: Secret,
    shown: Approval,
}

struct Day {
    daemon: TestDaemon,
    dice: Dice,
    secrets: BTreeMap<&'static str, Secret>,
    open: Vec<Proposed>,
    steps: Vec<String>,
}

#[tokio::test]
async fn what_an_approver_saw_is_what_was_applied() {
    let seeds = match setting("CHANGES_SEED") {
        Some(seed) => vec![seed.parse().unwrap()],
        None => (1..=SEEDS).collect(),
    };
    let mut applied = BTreeMap::new();
    for seed in seeds {
        for (outcome, count) in live(seed).await {
            *applied.entry(outcome).or_insert(0_u32) += count;
        }
    }
    // Each way in which a change may end has been seen, or this shows nothing.
    assert!(
        ["written", "deleted", "conflict"].iter().all(|way| applied.contains_key(way)),
        "{applied:?}"
    );
}

async fn live(seed: u64) -> BTreeMap<&'static str, u32> {
    let builder = TestDaemon::builder().rules(RULES).block_for(minutes(0)).empty();
    let mut daemon = builder.start().await;
    daemon.add_user("cat", &[vouchsafe_proto::v1::Role::Approver], &["oncall"]).await;
    daemon.load_rules(RULES).await;
    let scopes = ["secrets:read", "secrets:reveal", "secrets:write", "secrets:delete"];
    for writer in WRITERS {
        daemon.add_key(writer, "admin", &scopes).await;
    }
    let secrets = PATHS.into_iter().map(|path| (path, Secret::default())).collect();
    let mut day = Day { daemon, dice: Dice(seed), secrets, open: Vec::new(), steps: Vec::new() };
    let mut outcomes = BTreeMap::new();
    for step in 0..STEPS {
        match day.dice.roll(12) {
            0..5 => day.propose(step).await,
            5..9 => {
                if let Some(outcome) = day.approve().await {
                    *outcomes.entry(outcome).or_insert(0) += 1;
                }
            }
            9 => day.deny().await,
            10 => day.operator(step).await,
            _ => {
                day.steps.push("restart".to_owned());
                day.daemon.restart().await;
            }
        }
        day.compare(seed).await;
    }
    outcomes
}

impl Day {
    async fn propose(&mut self, step: u64) {
        let writer = WRITERS[self.dice.roll(2)];
        let path = PATHS[self.dice.roll(2)];
        let against = self.secrets[path].clone();
        let deletes = against.value.is_some() && self.dice.roll(4) == 0;
        let value = (!deletes).then(|| format!("value {step} by {writer}"));
        self.steps.push(format!("{writer} proposes {value:?} for {path}"));
        let agent = self.daemon.agent(writer);
        let answer = match &value {
            Some(value) => {
                agent.call("write_secret", json!({ "uri": uri(path), "value": value })).await
            }
            None => agent.call("delete_secret", json!({ "uri": uri(path) })).await,
        };
        // A deletion that was asked for before, answered meanwhile, is told of; or it is joined.
        if answer.status() != "pending" {
            assert!(deletes, "{answer:?} after {:#?}", self.steps);
            return;
        }
        let id = answer.approval();
        if self.open.iter().all(|open| open.shown.id != id) {
            let shown = self.daemon.grpc("cat").show(&id).await.unwrap();
            self.open.push(Proposed { path, value, against, shown });
        }
    }

    async fn approve(&mut self) -> Option<&'static str> {
        if self.open.is_empty() {
            return None;
        }
        let index = self.dice.roll(self.open.len());
        let proposed = self.open.remove(index);
        self.steps.push(format!("cat approves {} of {}", proposed.shown.id, proposed.path));
        // On what was shown when it was proposed, not on what may be there now.
        let voted = match self.daemon.grpc("cat").vote(yes(&proposed.shown)).await {
            Ok(voted) => voted.approval.unwrap(),
            Err(status) => {
                let ended = self.daemon.grpc("cat").show(&proposed.shown.id).await.unwrap();
                assert_eq!(
                    ended.status(),
                    ApprovalStatus::Expired,
                    "{status:?}: {:#?}",
                    self.steps
                );
                return Some("expired");
            }
        };
        let applied = voted.applied.unwrap();
        let secret = self.secrets.get_mut(proposed.path).unwrap();
        if *secret != proposed.against {
            assert_eq!(applied.outcome(), Outcome::Conflict, "{:#?}", self.steps);
            return Some("conflict");
        }
        let Some(value) = proposed.value else {
            assert_eq!(applied.outcome(), Outcome::Deleted, "{:#?}", self.steps);
            secret.value = None;
            return Some("deleted");
        };
        let is_new = secret.value.is_none();
        secret.making += u32::from(is_new);
        secret.version = if is_new { 1 } else { secret.version + 1 };
        secret.value = Some(value);
        let is = (applied.outcome(), applied.version);
        assert_eq!(is, (Outcome::Written, secret.version), "{:#?}", self.steps);
        Some("written")
    }

    async fn deny(&mut self) {
        let Some(proposed) = self.open.pop() else { return };
        self.steps.push(format!("cat denies {}", proposed.shown.id));
        // What was deleted, or asked for anew, has ended before.
        drop(self.daemon.grpc("cat").vote(no(&proposed.shown, "not now")).await);
    }

    async fn operator(&mut self, step: u64) {
        let path = PATHS[self.dice.roll(2)];
        let secret = self.secrets.get_mut(path).unwrap();
        if secret.value.is_some() && self.dice.roll(2) == 0 {
            self.steps.push(format!("an operator deletes {path}"));
            let request = DeleteSecretRequest { path: path.to_owned(), ..Default::default() };
            self.daemon.admin().secrets().delete_secret(request).await.unwrap();
            secret.value = None;
            return;
        }
        let value = format!("operator's {step}");
        self.steps.push(format!("an operator puts {value:?} at {path}"));
        let put = self.daemon.admin().put(path, &value).await;
        let is_new = secret.value.is_none();
        secret.making += u32::from(is_new);
        secret.version = put.version;
        secret.value = Some(value);
    }

    async fn compare(&self, seed: u64) {
        let agent = self.daemon.agent(WRITERS[0]);
        for (path, secret) in &self.secrets {
            let read = agent.read(path).await;
            let is = (read.status() == "ok").then(|| read.value().to_owned());
            assert_eq!(is, secret.value, "{path}, CHANGES_SEED={seed}: {:#?}", self.steps);
        }
    }
}
