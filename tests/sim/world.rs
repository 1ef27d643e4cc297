//! One day: a broker, its model, and what happens to both.

mod agents;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vouchsafe_core::approval::{GrantKind, Narrowing as Narrow, Status};
use vouchsafe_core::audit::verify_export;
use vouchsafe_core::caller::{Agent, User};
use vouchsafe_core::lease::{Ending, Lease as Held};
use vouchsafe_core::resource::Resource;
use vouchsafe_tests::broker::{ADMIN, TestBroker};
use vouchsafed::broker::{
    ApprovalFilter, AuditQuery, Code, ExportPart, LeaseFilter, NewKey, Page, Refused,
};

use crate::model::{
    At, End, Item, Key, Lease, Model, Narrowing, Person, Secret, Stand, policies, toml,
};

const PEOPLE: [&str; 3] = ["ann", "bob", "cat"];
const SECRETS: [&str; 6] = ["prod/A", "prod/B", "vault/C", "open/D", "follow/E", "none/F"];

/// Numbers that look random and are not: the same for a seed, everywhere.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }
}

pub(crate) struct World {
    dice: Dice,
    test: TestBroker,
    model: Model,
    /// What the log should hold, by action and outcome.
    counts: BTreeMap<&'static str, u64>,
    steps: Vec<String>,
    seed: u64,
}

impl World {
    pub(crate) async fn live(seed: u64, steps: u64) {
        let mut world = Self::begin(seed).await;
        for _ in 0..steps {
            world.step().await;
        }
        world.sweep().await;
        world.verify_log().await;
    }

    async fn begin(seed: u64) -> Self {
        let policy = policies().swap_remove(0);
        let on_call: &[&str] = &["oncall"];
        let users: Vec<_> = PEOPLE.iter().map(|name| (*name, on_call)).collect();
        let test = TestBroker::start(&users, &toml(&policy)).await;
        let now = vouchsafed::clock::Clock::now(test.clock.as_ref());
        let mut world = Self {
            dice: Dice(seed),
            model: Model {
                raw_wall: now.wall.ms(),
                log_wall: now.wall.ms(),
                mono: now.since_boot_ms,
                people: PEOPLE.map(|n| (n, Person { enabled: true, on_call: true })).into(),
                keys: Vec::new(),
                secrets: SECRETS.map(|path| (path, Secret::default())).into(),
                policy,
                approvals: Vec::new(),
                leases: Vec::new(),
            },
            test,
            counts: BTreeMap::new(),
            steps: Vec::new(),
            seed,
        };
        for (name, owner, reveal) in
            [("key-0", "ann", true), ("key-1", "bob", true), ("key-2", ADMIN, false)]
        {
            let scopes: &[&str] =
                if reveal { &["secrets:read", "secrets:reveal"] } else { &["secrets:read"] };
            let scopes: Vec<_> = scopes.iter().map(|s| (*s).to_owned()).collect();
            let admin = world.admin().await;
            let new = NewKey {
                name: name.to_owned(),
                scopes,
                owner: Some(owner.to_owned()),
                ..NewKey::default()
            };
            let made = world.test.broker.create_key(&admin, new).await;
            let value = made.unwrap().1.expose().to_string();
            let key = Key { owner, reveal, enabled: true, value, old_value: None };
            world.model.keys.push(key);
        }
        for path in SECRETS {
            world.put(path).await;
        }
        world
    }

    async fn step(&mut self) {
        match self.dice.roll(100) {
            0..=27 => self.read().await,
            28..=33 => self.request().await,
            34..=37 => self.look().await,
            38..=61 => self.vote().await,
            62..=65 => self.revoke().await,
            66..=69 => self.renew().await,
            70..=71 => self.release().await,
            72..=73 => self.withdraw().await,
            74..=76 => {
                let path = self.dice.pick(&SECRETS);
                self.put(path).await;
            }
            77 => self.delete().await,
            78..=80 => self.change_key().await,
            81..=83 => self.change_person().await,
            84..=92 => self.pass_time(),
            93 => self.turn_clock().await,
            94..=95 => self.sweep().await,
            96 => self.restart().await,
            _ => self.reload().await,
        }
        self.check_invariants();
    }

    fn note(&mut self, step: impl std::fmt::Display) {
        self.steps.push(step.to_string());
        if std::env::var_os("SIM_SEED").is_some() {
            println!("seed {}, step {}: {step}", self.seed, self.steps.len());
        }
    }

    /// Ends the test, and says how to live this day again.
    #[track_caller]
    fn wrong(&self, what: impl std::fmt::Display) -> ! {
        let last = self.steps.len().saturating_sub(25);
        panic!(
            "seed {} (SIM_SEED={} shows all), step {}: {what}\nlast steps:\n  {}",
            self.seed,
            self.seed,
            self.steps.len(),
            self.steps[last..].join("\n  ")
        );
    }

    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, is: &T, should: &T) {
        if is != should {
            self.wrong(format!("{what}: is {is:?} and should be {should:?}"));
        }
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(&self, answer: Result<T, Refused>, code: Code) {
        match answer {
            Err(refused) if refused.code == code => {}
            other => self.wrong(format!("should be refused as {code}, and is {other:?}")),
        }
    }

    fn count(&mut self, action: &'static str) {
        *self.counts.entry(action).or_default() += 1;
    }

    async fn admin(&self) -> User {
        self.test.user(ADMIN).await
    }

    /// One of the keys, let in; nothing where it is rightly shut out.
    async fn agent(&mut self) -> Option<(usize, Agent)> {
        let index = self.dice.roll(self.model.keys.len());
        let key = self.model.keys[index].clone();
        if self.dice.one_in(12)
            && let Some(old) = &key.old_value
            && self.test.agent(old).await.is_some()
        {
            self.wrong("an old value of a key opens the door");
        }
        let agent = self.test.agent(&key.value).await;
        self.same("key let in", &agent.is_some(), &key.enabled);
        agent.map(|agent| (index, agent))
    }

    fn pass_time(&mut self) {
        let seconds = self.dice.pick(&[1, 2, 5, 10, 25, 60, 130, 700, 4_000]);
        self.note(format_args!("{seconds} s pass"));
        self.test.clock.advance(Duration::from_secs(seconds));
        self.model.raw_wall += i64::try_from(seconds).unwrap() * 1_000;
        self.model.mono += seconds * 1_000;
    }

    async fn turn_clock(&mut self) {
        // An entry now, so that it is known what the log's last time is.
        let admin = self.admin().await;
        let query = AuditQuery::default();
        self.test.broker.query_audit(&admin, query, Page::default()).await.unwrap();
        self.model.log_wall = self.model.wall();
        let behind = u64::try_from(self.model.log_wall - self.model.raw_wall).unwrap();
        let (what, by) = match self.dice.roll(3) {
            0 => ("forward", 30_000),
            1 if behind < 15_000 => ("back", 40_000),
            _ => ("ahead since boot", 20_000),
        };
        self.note(format_args!("the clock is turned {what} by {by} ms"));
        let duration = Duration::from_millis(by);
        let signed = i64::try_from(by).unwrap();
        match what {
            "forward" => {
                self.test.clock.advance_wall(duration);
                self.model.raw_wall += signed;
            }
            "back" => {
                self.test.clock.set_back_wall(duration);
                self.model.raw_wall -= signed;
            }
            _ => {
                self.test.clock.advance_since_boot(duration);
                self.model.mono += by;
            }
        }
    }

    async fn sweep(&mut self) {
        self.note("sweeps");
        // The look before the sweep goes by the wall clock as it is; an entry brings the log's.
        let admin = self.admin().await;
        let query = AuditQuery::default();
        self.test.broker.query_audit(&admin, query, Page::default()).await.unwrap();
        while self.test.broker.sweep().await.unwrap() {}
        self.compare_all().await;
    }

    async fn restart(&mut self) {
        if !self.model.is_possible(&self.model.policy) {
            return;
        }
        self.note("restarts");
        self.test.write_policies(&toml(&self.model.policy));
        self.test.restart().await;
        self.compare_all().await;
    }

    #[track_caller]
    fn compare_lease(&self, lease: &Lease, held: &Held) {
        let last = held.last();
        self.same("lease's resource", &path_of(&last.terms.resource), &lease.secret);
        self.same("lease's version", &last.terms.version, &lease.version);
        self.same("uses left", &last.uses_left, &lease.uses_left);
        self.same("uses", &last.used, &lease.used);
        let at =
            |d: &vouchsafe_core::time::Deadline| At { wall: d.wall.ms(), mono: d.since_boot_ms };
        self.same("lease's deadline", &at(&last.deadline), &lease.deadline);
        self.same("lease's limit", &at(&last.terms.limit), &lease.limit);
        let end = match held {
            Held::Active(_) => End::Active,
            Held::Ended(ended) => match ended.how {
                Ending::Expired => End::Expired,
                Ending::Revoked => End::Revoked,
                Ending::Released => End::Released,
                Ending::Exhausted => End::Exhausted,
            },
        };
        let lazily = lease.end == End::Active
            && self.model.passed(lease.deadline)
            && matches!(end, End::Active | End::Expired);
        let unsure = lease.unsure && matches!(end, End::Expired | End::Revoked);
        if end != lease.end && !lazily && !unsure {
            self.wrong(format!("{} is {end:?} and should be {:?}", lease.id, lease.end));
        }
    }

    /// Everything there is, against everything there should be.
    async fn compare_all(&mut self) {
        let admin = self.admin().await;
        let page = Page { size: 500, token: String::new() };
        let broker = &self.test.broker;
        let leases = broker.list_leases(&admin, LeaseFilter::default(), page.clone()).await;
        let leases = leases.unwrap().items;
        self.same("leases", &leases.len(), &self.model.leases.len());
        for held in &leases {
            let id = held.terms().id.to_string();
            let lease = self.model.leases.iter().find(|lease| lease.id == id).cloned();
            self.compare_lease(&lease.unwrap(), held);
        }
        let approvals = broker.list_approvals(&admin, ApprovalFilter::default(), page).await;
        let approvals = approvals.unwrap().items;
        self.same("approvals", &approvals.len(), &self.model.approvals.len());
        for view in &approvals {
            let id = view.approval.ask().id.to_string();
            let index = self.model.approvals.iter().position(|a| a.id == id).unwrap();
            let approval = self.model.approvals[index].clone();
            let is = stand(view.approval.status());
            if is == Stand::Expired
                && approval.stand == Stand::Pending
                && self.model.passed(approval.deadline)
            {
                self.model.settle(index, Stand::Expired);
                self.model.approvals[index].settled_wall = view.approval.settled_at().unwrap().ms();
                continue;
            }
            self.same("stand", &is, &approval.stand);
            self.same("votes", &view.approval.votes().len(), &approval.votes.len());
        }
    }

    /// What must never be, whatever happened.
    fn check_invariants(&self) {
        for lease in &self.model.leases {
            if lease.uses_max.is_some_and(|max| lease.used > max) {
                self.wrong(format!("{} was used {} times", lease.id, lease.used));
            }
            if lease.deadline.mono > lease.limit.mono || lease.deadline.wall > lease.limit.wall {
                self.wrong(format!("{} reaches past its limit", lease.id));
            }
        }
        for approval in &self.model.approvals {
            let voters: BTreeSet<_> = approval.votes.iter().map(|(name, _)| name).collect();
            self.same("voters", &voters.len(), &approval.votes.len());
        }
    }

    /// The log verifies, tells of everything that happened as often as it did, and holds no value.
    async fn verify_log(&mut self) {
        let admin = self.admin().await;
        let mut export = self.test.broker.export_audit(&admin).await.unwrap();
        let (mut bytes, mut proof) = (Vec::new(), None);
        while let Some(part) = export.next().await {
            match part.unwrap() {
                ExportPart::Lines(lines) => bytes.extend(lines),
                ExportPart::Checkpoint { note, verifier_key } => proof = Some((note, verifier_key)),
            }
        }
        let (note, key) = proof.unwrap();
        let lines =
            bytes.split_inclusive(|b| *b == b'\n').map(|line| Ok(line[..line.len() - 1].to_vec()));
        let verified = verify_export(lines, note.as_bytes(), &key.parse().unwrap());
        if let Err(error) = verified {
            self.wrong(format!("the log does not verify: {error}"));
        }
        let text = String::from_utf8(bytes).unwrap();
        self.same("a value in the log", &text.contains("canary"), &false);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for line in text.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            if entry["outcome"] == "ok" {
                let action = entry["action"].as_str().unwrap();
                if let Some((name, _)) = self.counts.get_key_value(action) {
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
        self.same("entries of the log", &counts, &self.counts);
    }
}

fn uri(path: &str) -> Resource {
    format!("vouchsafe://secrets/{path}").parse().unwrap()
}

fn path_of(resource: &Resource) -> &'static str {
    SECRETS.into_iter().find(|path| uri(path) == *resource).unwrap()
}

fn content(path: &str, item: &Item) -> Vec<u8> {
    format!("canary {path} {} {}", item.making, item.version).into_bytes()
}

fn narrow(narrowing: &Narrowing) -> Narrow {
    Narrow {
        duration: narrowing.duration_s.map(Duration::from_secs),
        uses: narrowing.uses,
        kind: if narrowing.once { GrantKind::Once } else { GrantKind::Lease },
        only: narrowing.only.iter().map(|path| uri(path)).collect(),
    }
}

fn stand(status: Status) -> Stand {
    match status {
        Status::Pending => Stand::Pending,
        Status::Approved => Stand::Approved,
        Status::Denied => Stand::Denied,
        Status::Expired => Stand::Expired,
        Status::Withdrawn => Stand::Withdrawn,
    }
}
