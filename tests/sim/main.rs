//! Random days in the life of a broker, held against a model of it after every step.
//!
//! Each day is made of a seed alone: `SIM_SEED=n cargo test -p vouchsafe-tests --test sim` lives it
//! again, and says every step (with `-- --nocapture`). `SIM_SEEDS` and `SIM_STEPS` make more of them,
//! and longer ones. What is looked at (reference: invariants I3 to I6, I8 and I11): an
//! approval settles once and votes count as they should; a lease releases what was approved, as
//! often as approved, to its holder, and nothing after it ended; no clock lengthens anything; what
//! was answered is still so after a restart; the log verifies and says what happened, no more.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]
#![expect(clippy::indexing_slicing, reason = "the model's tables are as long as they are")]
#![expect(clippy::print_stdout, reason = "a day that is lived again is told step by step")]

mod model;
mod reproduction;
mod world;

use world::World;

/// How many days are lived, and how long each is, where nobody says otherwise.
const SEEDS: u64 = 40;
const STEPS: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_does_what_its_model_says() {
    let steps = number("SIM_STEPS").unwrap_or(STEPS);
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        World::live(seed, steps).await;
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name).map(|text| text.to_str().unwrap().parse().unwrap())
}
