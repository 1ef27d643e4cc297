//! How fast the real daemon is, beside how fast this machine is at that moment.
//!
//! `cargo run --release -p vouchsafe-tests --bin bench` first measures what the disk and `SQLite`
//! give, then the release daemon with all its clients on the same machine, then the disk and
//! `SQLite` again, in several rounds. Compare the ratios, and distrust a run whose calibration moved.
//! What there is a target for is printed last with whether it was met; nothing is asserted. It takes
//! about two minutes.

mod calibrate;
mod decisions;
mod load;
mod reach;
mod table;

use std::time::Duration;

use vouchsafe_tests::process::{Home, setting};

use self::decisions::Decisions;
use self::load::{Bench, Readers};
use self::table::{Measured, Table};

/// Times that everything is measured, in turn with everything else.
const ROUNDS: usize = 3;
/// Of one measurement.
const SPAN: Duration = Duration::from_millis(1_000);
/// At once, in turn.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Each has a lease of its own.
const READERS: usize = 64;
/// In how many turns the two kinds of readers are measured, one after the other.
const TURNS: u32 = 4;
/// How much slower reads may be with limits and conditions than without.
const SLOWER_MAX: f64 = 1.10;
/// How much slower asks may be with all channels dead than with them alive.
const SLOWER_DEAD_MAX: f64 = 1.05;
/// Approvals from start to end, one after the other, in one round.
const APPROVALS: usize = 40;

#[tokio::main]
async fn main() {
    let rounds = setting("BENCH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap_or(ROUNDS));
    note("setting up");
    let scratch = Home::nowhere();
    let prompt = Bench::start(0, READERS).await;
    let patient = Bench::start(25, 0).await;
    let decisions = Decisions::new();
    let mut table = Table::default();
    for round in 1..=rounds {
        note(&format!("round {round} of {rounds}"));
        calibrate::measure(&scratch.path(), SPAN, &mut table);
        for (name, measured) in decisions.measure(SPAN) {
            table.add(name, measured);
        }
        for clients in CLIENTS {
            let (mut plain, mut held) = (Measured::default(), Measured::default());
            for _ in 0..TURNS {
                let span = SPAN / TURNS;
                plain.join(prompt.reads(Readers::Plain, clients, span).await);
                held.join(prompt.reads(Readers::Held, clients, span).await);
            }
            table.add(reads(Readers::Plain, clients), plain);
            table.add(reads(Readers::Held, clients), held);
            let asks = prompt.asks(clients, SPAN).await;
            table.add(format!("asks stored, {clients} at once"), asks);
        }
        let key = format!("waiter-{round}");
        let (votes, answers) = patient.approvals(APPROVALS, &key).await;
        table.add("vote to its acknowledgement".to_owned(), votes);
        table.add("vote to the waiting agent's value".to_owned(), answers);
        for alive in [true, false] {
            let reached = reach::measure(alive).await;
            table.add(reach::asks(alive), reached.asks);
            if let Some(told) = reached.told {
                table.add("messages of a burst of 1,000, to the last".to_owned(), told);
            }
        }
    }
    table.print();
    for target in Decisions::targets() {
        table.hold(&target);
    }
    for clients in CLIENTS {
        table.compare(&reads(Readers::Held, clients), &reads(Readers::Plain, clients), SLOWER_MAX);
    }
    table.compare(&reach::asks(false), &reach::asks(true), SLOWER_DEAD_MAX);
    prompt.stop().await;
    patient.stop().await;
}

/// What a measurement of reads is called.
fn reads(which: Readers, clients: usize) -> String {
    match which {
        Readers::Plain => format!("reads under a lease, {clients} at once"),
        Readers::Held => format!("reads with limits, {clients} at once"),
    }
}

/// Says it to whoever waits for the table.
#[expect(clippy::print_stderr, reason = "this program talks to a person")]
fn note(text: &str) {
    eprintln!("{text}");
}
