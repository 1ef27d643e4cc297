//! The chart of accesses, drawn here: numbers for an SVG and for the tables that say the same.
//!
//! Widths are per cent and heights pixels, so that the picture is as wide as its place and its text
//! keeps its size. Colours are the stylesheet's: the policy of the pages allows no style here.

use vouchsafe_core::time::UnixTime;

use super::super::dates::{clock, day};
use crate::broker::{Accesses, Reads};

/// How high the highest bar may be, in pixels.
const PLOT_PX: u64 = 120;
/// Room above for the topmost number, in pixels.
const ABOVE_PX: u64 = 18;
/// Room below for the times, in pixels.
const BELOW_PX: u64 = 22;
/// Times that are written below the bars at most.
const TICKS_MAX: usize = 7;
/// How much of its place a bar fills, per mille.
const FILLED: u64 = 780;
const HOUR_MS: i64 = 3_600_000;

/// All that the template draws.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Chart {
    /// The picture's height, in pixels.
    pub(super) height: u64,
    /// Where the bars stand, in pixels from above.
    pub(super) ground: u64,
    /// Where the times are written.
    pub(super) text: u64,
    /// A line at a round number.
    pub(super) lines: Vec<Line>,
    /// A bar an hour, of those in which something was read.
    pub(super) bars: Vec<Bar>,
    /// Times below the bars.
    pub(super) ticks: Vec<Tick>,
    /// The resources, most frequent first.
    pub(super) resources: Vec<Row>,
    /// Values released in all.
    pub(super) released: u64,
    /// Reads refused in all.
    pub(super) refused: u64,
    /// When the first hour begins.
    pub(super) from: String,
    /// When the last hour ends.
    pub(super) until: String,
    /// Not everything was counted.
    pub(super) cut: bool,
}

/// A line across, and the number it stands for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) y: u64,
    /// Where its number is written.
    pub(super) text_y: u64,
    pub(super) count: u64,
}

/// One hour.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Bar {
    /// From the left, in per cent.
    pub(super) x: String,
    /// In per cent.
    pub(super) width: String,
    /// What was released, from the ground up.
    pub(super) released: Part,
    /// What was refused, on top of it.
    pub(super) refused: Part,
    /// `21 Nov, 10:00`.
    pub(super) hour: String,
}

/// A part of a bar.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Part {
    /// From above, in pixels.
    pub(super) y: String,
    /// In pixels.
    pub(super) height: String,
    pub(super) count: u64,
}

/// A time below the bars.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Tick {
    /// From the left, in per cent.
    pub(super) x: String,
    pub(super) label: String,
}

/// One resource.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) uri: String,
    pub(super) released: u64,
    pub(super) refused: u64,
    /// The share of what was released, in per cent of the most frequent resource's.
    pub(super) released_width: String,
    /// The same of what was refused.
    pub(super) refused_width: String,
}

impl Chart {
    /// Draws these counts.
    pub(super) fn of(accesses: &Accesses) -> Self {
        let hours = u64::try_from(accesses.hours.len()).unwrap_or(u64::MAX).max(1);
        let highest = accesses.hours.iter().map(|reads| reads.all()).max().unwrap_or(0);
        let top = round_up(highest);
        let most = accesses.resources.iter().map(|(_, reads)| reads.all()).max().unwrap_or(0);
        let sum =
            |of: fn(&Reads) -> u64| accesses.hours.iter().map(of).fold(0_u64, u64::saturating_add);
        let bars = accesses.hours.iter().zip(0..).filter(|(reads, _)| reads.all() > 0);
        let end = hour_at(accesses.from, hours);
        Self {
            height: ABOVE_PX + PLOT_PX + BELOW_PX,
            ground: ABOVE_PX + PLOT_PX,
            text: ABOVE_PX + PLOT_PX + BELOW_PX - 5,
            lines: lines(top),
            bars: bars
                .map(|(reads, at)| bar(*reads, at, hours, top, hour_at(accesses.from, at)))
                .collect(),
            ticks: ticks(accesses.from, hours),
            resources: accesses.resources.iter().map(|row| resource(row, most)).collect(),
            released: sum(|reads| reads.released),
            refused: sum(|reads| reads.refused),
            from: moment(accesses.from),
            until: moment(end),
            cut: accesses.cut,
        }
    }
}

fn bar(reads: Reads, at: u64, hours: u64, top: u64, hour: UnixTime) -> Bar {
    let released = part(0, reads.released, top);
    let refused = part(reads.released, reads.refused, top);
    let width = 100_000 * FILLED / 1_000 / hours;
    let x = (100_000 * at + (100_000 * (1_000 - FILLED) / 2_000)) / hours;
    Bar { x: thousandths(x), width: thousandths(width), released, refused, hour: moment(hour) }
}

/// What stands on `below` others of its bar.
fn part(below: u64, count: u64, top: u64) -> Part {
    let height = |count: u64| count.saturating_mul(PLOT_PX * 1_000) / top;
    let (foot, head) = (height(below), height(below.saturating_add(count)));
    let y = ((ABOVE_PX + PLOT_PX) * 1_000).saturating_sub(head);
    Part { y: thousandths(y), height: thousandths(head.saturating_sub(foot)), count }
}

/// The top and, where it is a whole number, the half.
fn lines(top: u64) -> Vec<Line> {
    let half = top.is_multiple_of(2).then_some(top / 2);
    [Some(top), half]
        .into_iter()
        .flatten()
        .map(|count| {
            let y = ABOVE_PX + PLOT_PX - count.saturating_mul(PLOT_PX) / top;
            Line { y, text_y: y - 4, count }
        })
        .collect()
}

/// Midnights where there are several, else every few hours.
fn ticks(from: UnixTime, hours: u64) -> Vec<Tick> {
    let step = [1, 2, 3, 6, 12, 24].into_iter().find(|step| hours / step < 7).unwrap_or(24);
    let ticks = (0..hours).filter_map(|at| {
        let time = hour_at(from, at);
        let of_day = u64::try_from(time.ms().rem_euclid(24 * HOUR_MS) / HOUR_MS).unwrap_or(0);
        let label = if step == 24 || of_day == 0 { day(time) } else { clock(time) };
        (of_day % step == 0).then(|| Tick { x: thousandths(100_000 * at / hours), label })
    });
    ticks.take(TICKS_MAX).collect()
}

fn resource((uri, reads): &(String, Reads), most: u64) -> Row {
    let share = |count: u64| thousandths(count.saturating_mul(100_000) / most.max(1));
    Row {
        uri: uri.clone(),
        released: reads.released,
        refused: reads.refused,
        released_width: share(reads.released),
        refused_width: share(reads.refused),
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round_up(count: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let round = unit.saturating_mul(step);
            if round >= count {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn hour_at(from: UnixTime, hours: u64) -> UnixTime {
    let hours = i64::try_from(hours).unwrap_or(i64::MAX);
    UnixTime::from_ms(from.ms().saturating_add(hours.saturating_mul(HOUR_MS)))
}

/// `12.5` for 12,500.
fn thousandths(value: u64) -> String {
    let (whole, part) = (value / 1_000, value % 1_000);
    let text = format!("{whole}.{part:03}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `21 Nov, 10:00`, in UTC.
fn moment(time: UnixTime) -> String {
    format!("{}, {}", day(time), clock(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accesses(hours: Vec<Reads>) -> Accesses {
        let from = UnixTime::parse_rfc3339("2026-11-20T22:00:00Z").unwrap();
        let resources = vec![
            ("vouchsafe://secrets/app/DB".to_owned(), Reads { released: 6, refused: 2 }),
            ("vouchsafe://secrets/app/API".to_owned(), Reads { released: 1, refused: 0 }),
        ];
        Accesses { from, hours, resources, cut: false }
    }

    #[test]
    fn bars_stand_on_the_ground_and_never_reach_past_the_top() {
        let reads = |released, refused| Reads { released, refused };
        let chart = Chart::of(&accesses(vec![reads(0, 0), reads(6, 2), reads(0, 0), reads(0, 1)]));
        assert_eq!((chart.released, chart.refused), (6, 3));
        // Of 10, each is 12 pixels.
        let [first, last] = chart.bars.as_slice() else { panic!("{:?}", chart.bars) };
        assert_eq!((first.released.y.as_str(), first.released.height.as_str()), ("66", "72"));
        assert_eq!((first.refused.y.as_str(), first.refused.height.as_str()), ("42", "24"));
        assert_eq!((last.refused.y.as_str(), last.refused.height.as_str()), ("126", "12"));
        assert_eq!((first.x.as_str(), first.width.as_str()), ("27.75", "19.5"));
        assert_eq!(first.hour, "20 Nov, 23:00");
        assert_eq!(chart.lines.iter().map(|line| line.count).collect::<Vec<_>>(), [10, 5]);
        let labels: Vec<_> = chart.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["22:00", "23:00", "21 Nov", "01:00"]);
        assert_eq!((chart.from.as_str(), chart.until.as_str()), ("20 Nov, 22:00", "21 Nov, 02:00"));
        let widths: Vec<_> =
            chart.resources.iter().map(|row| row.released_width.as_str()).collect();
        assert_eq!(widths, ["75", "12.5"]);
    }

    #[test]
    fn a_quiet_week_and_a_wild_one_are_drawn_alike() {
        let quiet = Chart::of(&accesses(vec![Reads::default(); 168]));
        assert_eq!((quiet.bars.len(), quiet.ticks.len()), (0, 7));
        assert!(quiet.ticks.iter().all(|tick| tick.label.ends_with("Nov")), "{:?}", quiet.ticks);
        let most = Reads { released: u64::MAX, refused: u64::MAX };
        let wild = Chart::of(&accesses(vec![most; 168]));
        assert_eq!(wild.bars.len(), 168);
        let empty = Chart::of(&Accesses { resources: Vec::new(), ..accesses(Vec::new()) });
        assert_eq!((empty.bars.len(), empty.resources.len()), (0, 0));
    }

    #[test]
    fn the_top_is_a_round_number() {
        for (count, top) in [(0, 1), (1, 1), (3, 5), (7, 10), (11, 20), (500, 500), (501, 1_000)] {
            assert_eq!(round_up(count), top, "{count}");
        }
    }
}
