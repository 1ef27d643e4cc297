//! A daemon that is killed again and again while many clients work: what it has acknowledged is
//! there afterwards, what has ended stays ended, and what people are to be told of reaches them.
//!
//! `KILL9_CYCLES` says how often, `KILL9_CLIENTS` how many work at once, `KILL9_SEED` replays the
//! choices of a run (though not the scheduling of its processes).

mod check;
mod client;
mod journal;
mod told;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vouchsafe_tests::hook::Receiver;
use vouchsafe_tests::process::{Home, RealDaemon, User, setting};

use self::check::Oracle;
use self::client::Client;
use self::journal::Journal;

const KEYS: [&str; 4] = ["agent-a", "agent-b", "agent-c", "agent-d"];
const LIFE_MS_MIN: u64 = 30;
const LIFE_MS_MAX: u64 = 400;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let cycles = number("KILL9_CYCLES", 15);
    let clients = number("KILL9_CLIENTS", 24);
    let seed = number("KILL9_SEED", RandomState::new().hash_one("seed"));
    println!("KILL9_SEED={seed} KILL9_CYCLES={cycles} KILL9_CLIENTS={clients}");
    let mut random = Random(seed);

    let home = Home::init().await;
    let receiver = Receiver::start().await;
    let door = "[http]\nlisten = \"127.0.0.1:0\"\n\n[mcp]\nblock_seconds = 0\n";
    home.configure(&format!("{door}\n{}", told::settings(&receiver)));
    told::write_secret(&home);
    let mut daemon = RealDaemon::serve(home).await;
    let user = User::new(&daemon.path(), &daemon.admin_token());
    let mut keys = Vec::new();
    for name in KEYS {
        let scopes = ["secrets:read", "secrets:reveal", "secrets:write"];
        let value = user.create_key(name, &scopes).await.unwrap();
        keys.push(value);
    }
    let journal = Arc::new(Journal::create(&daemon.beside("acknowledged")));
    let mut oracle = Oracle::default();
    for cycle in 0..cycles {
        let mut working = JoinSet::new();
        for number in 0..clients {
            let key = &keys[usize::try_from(number).unwrap() % keys.len()];
            let journal = Arc::clone(&journal);
            let client = Client::new(&daemon, key, journal, Random(random.next()));
            working.spawn(client.work());
        }
        let life = LIFE_MS_MIN + random.below(LIFE_MS_MAX - LIFE_MS_MIN);
        // No waiting for something: this is how long the daemon lives.
        tokio::time::sleep(Duration::from_millis(life)).await;
        daemon.kill().await;
        // Clients end with their connections; a panic in one is a finding.
        while let Some(ended) = working.join_next().await {
            ended.unwrap();
        }
        daemon.again().await;
        oracle.check(&daemon, &journal, cycle).await;
    }
    oracle.summary();
    told::check(oracle.log(), &receiver).await;
    daemon.vouchsafe(["audit", "verify"]).await.ok();
    let home = daemon.stop().await;
    home.vouchsafed(["verify"]).await.ok();
}

/// A number of the test run's environment.
fn number(name: &str, otherwise: u64) -> u64 {
    setting(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// `SplitMix64`: small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(among.len()).unwrap();
        if count == 0 {
            return None;
        }
        among.get(usize::try_from(self.below(count)).unwrap())
    }
}
