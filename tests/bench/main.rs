//! How fast the real daemon is, beside how fast this machine is at that moment.
//!
//! `cargo run --release -p vouchsafe-tests --bin bench` first measures what the disk and `SQLite`
//! give, then the release daemon with all its clients on the same machine, then the disk and
//! `SQLite` again, in several rounds. Nothing is asserted: compare the ratios, and distrust a run
//! whose calibration moved. It takes about a minute.

mod calibrate;
mod load;
mod table;

use std::time::Duration;

use vouchsafe_tests::process::{Home, setting};

use self::load::Bench;
use self::table::Table;

/// Times that everything is measured, in turn with everything else.
const ROUNDS: usize = 3;
/// Of one measurement.
const SPAN: Duration = Duration::from_millis(1_000);
/// At once, in turn.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Each has a lease of its own.
const READERS: usize = 64;
/// Approvals from start to end, one after the other, in one round.
const APPROVALS: usize = 40;

#[tokio::main]
async fn main() {
    let rounds = setting("BENCH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap_or(ROUNDS));
    note("setting up");
    let scratch = Home::nowhere();
    let prompt = Bench::start(0, READERS).await;
    let patient = Bench::start(25, 0).await;
    let mut table = Table::default();
    for round in 1..=rounds {
        note(&format!("round {round} of {rounds}"));
        calibrate::measure(&scratch.path(), SPAN, &mut table);
        for clients in CLIENTS {
            let reads = prompt.reads(clients, SPAN).await;
            table.add(format!("reads under a lease, {clients} at once"), reads);
            let asks = prompt.asks(clients, SPAN).await;
            table.add(format!("asks stored, {clients} at once"), asks);
        }
        let key = format!("waiter-{round}");
        let (votes, answers) = patient.approvals(APPROVALS, &key).await;
        table.add("vote to its acknowledgement".to_owned(), votes);
        table.add("vote to the waiting agent's value".to_owned(), answers);
    }
    table.print();
    prompt.stop().await;
    patient.stop().await;
}

/// Says it to whoever waits for the table.
#[expect(clippy::print_stderr, reason = "this program talks to a person")]
fn note(text: &str) {
    eprintln!("{text}");
}
