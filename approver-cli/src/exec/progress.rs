//! What a person sees while people are asked: a line that is rewritten, or a line at the start and
//! one at the end where nobody sees it being rewritten.

use std::cell::RefCell;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::note;
use crate::output;
use crate::text::{safe_line, shortened};
use crate::time;

const DRAW_EVERY: Duration = Duration::from_secs(1);
const REASON_CHARS_MAX: usize = 60;
/// Where the terminal does not say how wide it is.
const COLUMNS: u16 = 80;

/// How the ask stands.
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    reason: String,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The daemon's words, once people are asked.
    words: String,
    approval: Option<String>,
    /// The daemon does not answer.
    away: bool,
    drawn: bool,
}

impl Progress {
    pub(super) fn new(reason: &str) -> Self {
        Self {
            terminal: output::is_error_terminal(),
            began: Instant::now(),
            reason: safe_line(&shortened(reason, REASON_CHARS_MAX)),
            state: RefCell::default(),
        }
    }

    /// Does this, and keeps the line up to date meanwhile.
    pub(super) async fn during<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.clear();
                    return done;
                }
                _ = ticks.tick() => self.draw(),
            }
        }
    }

    /// People are asked. The words are the daemon's: `waiting for approval ap_.. (expires 14:05Z)`.
    /// What comes back is the approval that it speaks of, where that is another one than before.
    pub(super) fn waits(&self, words: &str) -> Option<String> {
        let first = {
            let mut state = self.state.borrow_mut();
            state.away = false;
            let approval = approval_in(words);
            if approval.is_some() && state.approval.is_some() && approval != state.approval {
                return approval;
            }
            state.approval = state.approval.take().or(approval);
            let first = state.words.is_empty();
            state.words = safe_line(words);
            first
        };
        if self.terminal {
            self.draw();
        } else if first {
            note(&safe_line(words));
        }
        None
    }

    /// The daemon does not answer.
    pub(super) fn away(&self) {
        let first = !std::mem::replace(&mut self.state.borrow_mut().away, true);
        if self.terminal {
            self.draw();
        } else if first {
            note("the daemon is away; trying again");
        }
    }

    /// It answers again.
    pub(super) fn back(&self) {
        self.state.borrow_mut().away = false;
    }

    /// They have approved.
    pub(super) fn approved(&self) {
        if self.approval().is_some() {
            self.clear();
            note(&format!("approved after {}", time::span(self.began.elapsed())));
        }
    }

    /// The approval that is waited for, once it is known.
    pub(super) fn approval(&self) -> Option<String> {
        self.state.borrow().approval.clone()
    }

    fn draw(&self) {
        let line = self.line();
        if !self.terminal || line.is_empty() {
            return;
        }
        let columns = crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| columns);
        self.state.borrow_mut().drawn = true;
        // The last column stays free, so that no terminal begins another line.
        output::status(&shortened(&line, usize::from(columns.saturating_sub(1))));
    }

    fn line(&self) -> String {
        let state = self.state.borrow();
        let what = if state.away { "the daemon is away; trying again" } else { &state.words };
        if what.is_empty() {
            return String::new();
        }
        format!("vouchsafe exec: {what}, {}: {}", time::span(self.began.elapsed()), self.reason)
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if std::mem::take(&mut self.state.borrow_mut().drawn) {
            output::status("");
        }
    }
}

/// The id of the approval that the daemon speaks of.
pub(super) fn approval_in(words: &str) -> Option<String> {
    words.split_whitespace().find(|word| word.starts_with("ap_")).map(safe_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_says_which_approval_waits_for_how_long_and_why() {
        let progress = Progress::new("INC-1042: looking\nat it");
        assert_eq!(progress.line(), "");
        assert_eq!(progress.waits("waiting for approval ap_7k3m (expires 14:05Z)"), None);
        assert_eq!(progress.waits("waiting for approval ap_8").as_deref(), Some("ap_8"));
        assert_eq!(progress.approval().as_deref(), Some("ap_7k3m"));
        let line = progress.line();
        let rest =
            line.strip_prefix("vouchsafe exec: waiting for approval ap_7k3m (expires 14:05Z), ");
        assert!(rest.unwrap().ends_with("s: INC-1042: looking\\u{a}at it"), "{line}");
        progress.away();
        assert!(progress.line().contains("the daemon is away"), "{}", progress.line());
    }
}
