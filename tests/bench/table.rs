//! What was measured, and in which proportion.

use std::collections::BTreeMap;
use std::time::Duration;

/// What one measurement yields: how long each operation took, and over which time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) took: Vec<Duration>,
    pub(crate) over: Duration,
}

impl Measured {
    /// More of the same.
    pub(crate) fn join(&mut self, other: Self) {
        self.took.extend(other.took);
        self.over += other.over;
    }

    fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.took.len()).unwrap_or(u32::MAX)) / self.over.as_secs_f64()
    }

    /// The duration that this many of a thousand do not exceed.
    fn at_most(&self, of_a_thousand: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let index = took.len().saturating_mul(of_a_thousand) / 1_000;
        took.get(index.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// What one measurement should not exceed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Of one operation, all in all.
    pub(crate) microseconds_max: f64,
}

/// A line for each measurement, from all rounds.
#[derive(Debug, Default)]
pub(crate) struct Table {
    order: Vec<String>,
    rounds: BTreeMap<String, Vec<Measured>>,
}

/// The figures of one line.
struct Figures {
    rate: f64,
    slowest: f64,
    fastest: f64,
    p50: Duration,
    p99: Duration,
}

impl Table {
    pub(crate) fn add(&mut self, name: String, measured: Measured) {
        if !self.order.contains(&name) {
            self.order.push(name.clone());
        }
        self.rounds.entry(name).or_default().push(measured);
    }

    /// Rates are the median round's; the percentiles are of all rounds together.
    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self) {
        println!(
            "{:<44} {:>9} {:>17} {:>9} {:>9} {:>8} {:>8}",
            "", "per s", "rounds", "p50", "p99", "x S1", "x S32"
        );
        let rate = |name| self.figures(name).map_or(f64::NAN, |figures| figures.rate);
        let (one, many) = (rate(super::calibrate::ONE), rate(super::calibrate::MANY));
        for name in &self.order {
            let Some(figures) = self.figures(name) else { continue };
            let Figures { rate, slowest, fastest, p50, p99 } = figures;
            println!(
                "{name:<44} {rate:>9.0} {:>17} {:>9} {:>9} {:>8.2} {:>8.2}",
                format!("{slowest:.0}..{fastest:.0}"),
                format!("{:.2} ms", p50.as_secs_f64() * 1e3),
                format!("{:.2} ms", p99.as_secs_f64() * 1e3),
                rate / one,
                rate / many,
            );
        }
        println!(
            "S1 and S32: commits of three rows a second by plain SQLite, one a commit, and 32 in \
             one. The clients run on the same machine, and their work is included."
        );
    }

    /// Says what one operation takes, and whether that is within the target.
    #[expect(clippy::print_stdout, reason = "the verdict is what this program is for")]
    pub(crate) fn hold(&self, target: &Target) {
        let Some(figures) = self.figures(&target.name) else { return };
        let (each, most) = (1e6 / figures.rate, target.microseconds_max);
        let verdict = if each <= most { "pass" } else { "FAIL" };
        println!("{}: {each:.1} \u{b5}s each, {most:.0} at most: {verdict}", target.name);
    }

    /// Says how much slower one is than the other, and whether that is within the target. Rounds
    /// are compared each with its own, since the machine changes from one to the next.
    #[expect(clippy::print_stdout, reason = "the verdict is what this program is for")]
    pub(crate) fn compare(&self, slower: &str, plain: &str, ratio_max: f64) {
        let (Some(slow), Some(fast)) = (self.rounds.get(slower), self.rounds.get(plain)) else {
            return;
        };
        let mut ratios: Vec<_> =
            fast.iter().zip(slow).map(|(fast, slow)| fast.rate() / slow.rate()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (Some(median), Some(least), Some(most)) =
            (ratios.get(ratios.len() / 2), ratios.first(), ratios.last())
        else {
            return;
        };
        let verdict = if *median <= ratio_max { "pass" } else { "FAIL" };
        println!(
            "{slower} / {plain}: {median:.2} times the time ({least:.2}..{most:.2}), \
             {ratio_max:.2} at most: {verdict}"
        );
    }

    fn figures(&self, name: &str) -> Option<Figures> {
        let rounds = self.rounds.get(name)?;
        let mut rates: Vec<f64> = rounds.iter().map(Measured::rate).collect();
        rates.sort_unstable_by(f64::total_cmp);
        let mut all = Measured::default();
        for round in rounds {
            all.took.extend(&round.took);
        }
        Some(Figures {
            rate: *rates.get(rates.len() / 2)?,
            slowest: *rates.first()?,
            fastest: *rates.last()?,
            p50: all.at_most(500),
            p99: all.at_most(990),
        })
    }
}
