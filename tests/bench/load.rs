//! Many clients at the doors of the real daemon.
#![expect(clippy::unwrap_used, reason = "a client that is refused spoils the measurement")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, Ballot, CreateKeyRequest, DeleteKeyRequest, Level,
    ListApprovalsRequest,
};
use vouchsafe_tests::process::{Agent, Home, RULES, RealDaemon, User};

use crate::table::Measured;

const SCOPES: [&str; 2] = ["secrets:read", "secrets:reveal"];
/// Keys that ask, and secrets that they ask for: a key may have 100 asks pending, and no two asks
/// may be the same, or they are one.
const ASKERS: usize = 100;
const SECRETS: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// More than any client here makes, in a minute and in a month.
const RATE: u32 = 1_000_000;
const MONTHLY: u64 = 1_000_000_000;
/// A rule with all that a rule can look at, for what the keys `held-*` read.
const JUDGED: &str = r#"
[[rule]]
name          = "Judged"
resource      = "vouchsafe://secrets/judged/*"
operations    = ["list", "use", "read"]
approval      = "level"
approvers     = ["admin"]
self_approval = true
require_reason    = true
min_reason_length = 10
reason_pattern    = "^[a-z ]+$"
reason_hint       = "plain words"
lease         = { default = "1h", max = "24h" }

[rule.auto_approve]
days       = "Mon-Sun"
requester  = ["held-*"]
operations = ["read"]
when       = 'ask.reason.contains("bench") && key.level == "permissive"'
"#;

/// Which readers: of keys that nothing but their scopes holds, by a plain rule; or of keys with
/// every limit there is, by a rule with every condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Readers {
    Plain,
    Held,
}

/// A daemon whose calls do not wait for people, or one whose calls do.
#[derive(Debug)]
pub(crate) struct Bench {
    daemon: RealDaemon,
    user: User,
    /// Agents with a lease on the first secret.
    readers: Vec<Arc<Agent>>,
    /// The same, whose keys and rule are held to more.
    held: Vec<Arc<Agent>>,
}

impl Bench {
    /// `block_seconds`: how long a call waits for people. `readers`: agents that hold a lease.
    pub(crate) async fn start(block_seconds: u32, readers: usize) -> Self {
        Self::start_on(Home::init().await, block_seconds, readers, "").await
    }

    /// The same, on a home that has what more its configuration needs.
    pub(crate) async fn start_on(
        home: Home,
        block_seconds: u32,
        readers: usize,
        more: &str,
    ) -> Self {
        home.configure(&format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n\n[mcp]\nblock_seconds = {block_seconds}\n\n\
             [log]\nfilter = \"error\"\n\n{more}",
        ));
        home.rule("rules.toml", &format!("{RULES}{JUDGED}"));
        let daemon = RealDaemon::serve(home).await;
        let user = User::new(&daemon.path(), &daemon.admin_token());
        for number in 0..SECRETS {
            user.put(&path(number), &[b'x'; 200]).await.unwrap();
        }
        user.put("judged/R0", &[b'x'; 200]).await.unwrap();
        let mut bench = Self { daemon, user, readers: Vec::new(), held: Vec::new() };
        for number in 0..readers {
            let agent = bench.agent(&format!("reader-{number}")).await;
            let asked = agent.call("read_secret", ask(0)).await.unwrap();
            let approval = bench.user.show(asked.text("/approval_id")).await.unwrap();
            bench.approve(&approval).await;
            bench.readers.push(agent);
            let held = bench.held_agent(&format!("held-{number}")).await;
            let given = held.call("read_secret", judged()).await.unwrap();
            assert_eq!(given.status(), "ok", "{given:?}");
            bench.held.push(held);
        }
        bench
    }

    pub(crate) async fn stop(self) {
        drop(self.daemon.stop().await);
    }

    /// Reads under leases.
    pub(crate) async fn reads(&self, which: Readers, clients: usize, span: Duration) -> Measured {
        let (readers, asked) = match which {
            Readers::Plain => (&self.readers, ask(0)),
            Readers::Held => (&self.held, judged()),
        };
        let begun = Instant::now();
        let mut working = JoinSet::new();
        for agent in readers.iter().take(clients) {
            let (agent, asked) = (Arc::clone(agent), asked.clone());
            working.spawn(async move {
                let mut took = Vec::new();
                while begun.elapsed() < span {
                    let before = Instant::now();
                    let answer = agent.call("read_secret", asked.clone()).await.unwrap();
                    assert_eq!(answer.status(), "ok", "{answer:?}");
                    took.push(before.elapsed());
                }
                took
            });
        }
        gather(working, begun).await
    }

    /// The admin.
    pub(crate) const fn user(&self) -> &User {
        &self.user
    }

    /// So many asks that join no other, by some clients at once.
    pub(crate) async fn burst(&self, count: usize, clients: usize) -> Measured {
        let mut askers = Vec::new();
        for number in 0..count.div_ceil(SECRETS) {
            askers.push(self.agent(&format!("burst-{number}")).await);
        }
        let askers = Arc::new(askers);
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..clients {
            let (askers, next) = (Arc::clone(&askers), Arc::clone(&next));
            working.spawn(async move {
                let mut took = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return took;
                    }
                    let Some(agent) = askers.get(number % askers.len()) else { return took };
                    let before = Instant::now();
                    let answer =
                        agent.call("read_secret", ask(number / askers.len())).await.unwrap();
                    assert_eq!(answer.status(), "pending", "{answer:?}");
                    took.push(before.elapsed());
                }
            });
        }
        gather(working, begun).await
    }

    /// Asks that join no other ask. Ends early where there are no more of them.
    pub(crate) async fn asks(&self, clients: usize, span: Duration) -> Measured {
        let mut askers = Vec::new();
        for number in 0..ASKERS {
            askers.push(self.agent(&format!("asker-{number}")).await);
        }
        let askers = Arc::new(askers);
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..clients {
            let (askers, next) = (Arc::clone(&askers), Arc::clone(&next));
            working.spawn(async move {
                let mut took = Vec::new();
                while begun.elapsed() < span {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // One key after the other within each secret, so that many keys ask at once.
                    let Some(agent) = askers.get(number % ASKERS) else { break };
                    if number >= ASKERS * SECRETS {
                        break;
                    }
                    let before = Instant::now();
                    let answer = agent.call("read_secret", ask(number / ASKERS)).await.unwrap();
                    assert_eq!(answer.status(), "pending", "{answer:?}");
                    took.push(before.elapsed());
                }
                took
            });
        }
        let measured = gather(working, begun).await;
        // With the keys go their asks.
        for number in 0..ASKERS {
            let name = format!("asker-{number}");
            let request = DeleteKeyRequest { name, ..DeleteKeyRequest::default() };
            self.user.keys().delete_key(request).await.unwrap();
        }
        measured
    }

    /// One after the other: from the vote to its acknowledgement, and to the value in the hands of
    /// the agent that waits. `key` must be new.
    pub(crate) async fn approvals(&self, count: usize, key: &str) -> (Measured, Measured) {
        let agent = self.agent(key).await;
        let (mut votes, mut answers) = (Measured::default(), Measured::default());
        for number in 0..count {
            let mut waiting = JoinSet::new();
            let caller = Arc::clone(&agent);
            waiting.spawn(async move {
                let answer = caller.call("read_secret", ask(number)).await.unwrap();
                assert_eq!(answer.status(), "ok", "{answer:?}");
                Instant::now()
            });
            let approval = self.pending(key).await;
            let before = Instant::now();
            self.approve(&approval).await;
            votes.took.push(before.elapsed());
            let answered = waiting.join_next().await.unwrap().unwrap();
            answers.took.push(answered.duration_since(before));
        }
        // One after the other: the time between them is the bench's own.
        (votes.over, answers.over) = (votes.took.iter().sum(), answers.took.iter().sum());
        (votes, answers)
    }

    async fn agent(&self, name: &str) -> Arc<Agent> {
        let key = self.user.create_key(name, &SCOPES).await.unwrap();
        Arc::new(Agent::new(self.daemon.url("/mcp"), key))
    }

    /// An agent whose key has every limit there is.
    async fn held_agent(&self, name: &str) -> Arc<Agent> {
        let request = CreateKeyRequest {
            name: name.to_owned(),
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            level: Level::Permissive.into(),
            tools: ["list_*", "read_secret", "whoami"].map(str::to_owned).to_vec(),
            rate: RATE,
            monthly: MONTHLY,
            ..CreateKeyRequest::default()
        };
        let made = self.user.keys().create_key(request).await.unwrap().into_inner();
        Arc::new(Agent::new(self.daemon.url("/mcp"), made.value))
    }

    async fn pending(&self, key: &str) -> Approval {
        let request = ListApprovalsRequest {
            statuses: vec![ApprovalStatus::Pending.into()],
            key: key.to_owned(),
            ..ListApprovalsRequest::default()
        };
        loop {
            let listed = self.user.approvals().list_approvals(request.clone()).await.unwrap();
            if let Some(approval) = listed.into_inner().approvals.into_iter().next() {
                return approval;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn approve(&self, approval: &Approval) {
        self.user.vote(&approval.id, &approval.digest, Ballot::Approve).await.unwrap();
    }
}

async fn gather(mut working: JoinSet<Vec<Duration>>, begun: Instant) -> Measured {
    let mut measured = Measured::default();
    while let Some(took) = working.join_next().await {
        measured.took.extend(took.unwrap());
    }
    measured.over = begun.elapsed();
    measured
}

fn path(number: usize) -> String {
    format!("often/R{number}")
}

fn ask(number: usize) -> Value {
    json!({ "uri": format!("vouchsafe://secrets/{}", path(number)), "reason": "for the bench" })
}

fn judged() -> Value {
    json!({ "uri": "vouchsafe://secrets/judged/R0", "reason": "for the bench" })
}
