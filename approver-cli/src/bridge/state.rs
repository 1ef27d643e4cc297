//! The bridge without its pipes: events in, actions out.
//!
//! It outlives the daemon. While the link is down it holds requests for a while; when the link is
//! back it replays the client's handshake under an id of its own, so that the client never notices
//! more than an answer that says to call again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::message::{self, Call, INITIALIZED, Message, Trouble};

/// A longer line is answered here and not sent on.
pub(super) const LINE_BYTES_MAX: usize = 1024 * 1024;
const HELD_MAX: usize = 256;
const IN_FLIGHT_MAX: usize = 1_024;
/// How long a request waits for the daemon to come back.
const HOLD_MAX: Duration = Duration::from_secs(30);
/// How long answers are waited for after the client has hung up.
const DRAIN_MAX: Duration = Duration::from_secs(5);
const REPLAY_PREFIX: &str = "vouchsafe-replay-";

/// What the driver shall do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A line for the client, without line feed.
    ToClient(String),
    /// A line for the daemon, without line feed.
    ToDaemon(String),
    /// Tell the daemon that nothing more will come.
    HalfClose,
    /// Give this connection up and make another one.
    Leave,
    /// The end.
    Exit(Ending),
}

/// How the bridge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    KeyRefused,
}

/// The state of one bridge. Times are spans since its start.
#[derive(Debug, Default)]
pub(super) struct Bridge {
    link: Link,
    handshake: Option<Handshake>,
    /// Sent to the daemon and not answered, by id.
    in_flight: BTreeMap<String, Call>,
    /// Not sent yet, oldest first.
    held: VecDeque<Held>,
    /// Requests of this daemon that the client has not answered, by id.
    asked: BTreeMap<String, Value>,
    /// Why the link is down.
    trouble: Option<Trouble>,
    refusal: Option<Trouble>,
    /// When to stop waiting for answers, once the client has hung up.
    closing: Option<Duration>,
    replays: u64,
    actions: Vec<Action>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Down,
    /// Waiting for the answer to a replayed `initialize`, whose id this is as it stands in JSON.
    Replaying(String),
    Up,
}

/// The client's `initialize`, kept to be replayed.
#[derive(Debug)]
struct Handshake {
    line: String,
    call: Call,
    answered: bool,
    /// The client has sent `notifications/initialized`.
    initialized: bool,
    until: Duration,
}

#[derive(Debug)]
struct Held {
    line: String,
    call: Call,
    until: Duration,
}

impl Bridge {
    /// What there is to do since the last time.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When `tick` is due next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let held = self.held.front().map(|held| held.until);
        let handshake = self.unanswered_handshake().map(|handshake| handshake.until);
        [held, handshake.filter(|_| self.link == Link::Down), self.closing]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether another connection is wanted.
    pub(super) fn wants_link(&self) -> bool {
        self.refusal.is_none()
    }

    /// A line from the client.
    pub(super) fn client_line(&mut self, line: &str, now: Duration) {
        match Message::parse(line) {
            Message::Request(call) if line.len() > LINE_BYTES_MAX => {
                self.tell_client(call.too_long());
            }
            Message::Notification { .. } | Message::Response { .. }
                if line.len() > LINE_BYTES_MAX => {}
            Message::Request(call) => self.client_request(call, line, now),
            Message::Notification { method, cancels } => {
                self.client_notification(&method, cancels.as_deref(), line);
            }
            Message::Response { id, .. } => {
                if self.link == Link::Up && self.asked.remove(&id).is_some() {
                    self.tell_daemon(line);
                }
            }
            Message::Foreign => self.tell_client(message::unreadable(true)),
            Message::Broken => self.tell_client(message::unreadable(false)),
        }
    }

    /// A line from the client that is too long to be read, or is no text.
    pub(super) fn client_garbage(&mut self) {
        self.tell_client(message::unreadable(false));
    }

    /// The client has closed its end.
    pub(super) fn client_end(&mut self, now: Duration) {
        if self.refusal.is_some() {
            return self.exit(Ending::KeyRefused);
        }
        self.closing = Some(now.saturating_add(DRAIN_MAX));
        if self.link == Link::Up {
            self.actions.push(Action::HalfClose);
        }
        self.end_if_drained();
    }

    /// The daemon has let us in.
    pub(super) fn joined(&mut self) {
        self.trouble = None;
        let Some(handshake) = &self.handshake else {
            return self.go_up();
        };
        if handshake.answered {
            self.replays = self.replays.saturating_add(1);
            let id = format!("{REPLAY_PREFIX}{}", self.replays);
            let Some(line) = message::with_id(&handshake.line, &id) else {
                return self.go_up();
            };
            self.link = Link::Replaying(Value::String(id).to_string());
            self.tell_daemon(&line);
            return;
        }
        let (line, initialized) = (handshake.line.clone(), handshake.initialized);
        self.tell_daemon(&line);
        if initialized {
            self.tell_daemon(INITIALIZED);
        }
        self.go_up();
    }

    /// The daemon does not let this key in: there is no use in trying again.
    pub(super) fn refused(&mut self, why: Trouble) {
        self.link = Link::Down;
        let waiting = self.take_waiting();
        for call in &waiting {
            self.tell_client(call.refused(&why));
        }
        self.refusal = Some(why);
        if !waiting.is_empty() || self.closing.is_some() {
            self.exit(Ending::KeyRefused);
        }
    }

    /// The connection broke, or could not be made.
    pub(super) fn lost(&mut self, why: Trouble, now: Duration) {
        self.link = Link::Down;
        self.trouble = Some(why);
        let broke_off = Trouble::broke_off();
        for call in std::mem::take(&mut self.in_flight).into_values() {
            self.tell_client(call.interrupted(&broke_off));
        }
        for id in std::mem::take(&mut self.asked).into_values() {
            self.tell_client(message::cancelled(&id));
        }
        if let Some(handshake) = self.handshake.as_mut().filter(|handshake| !handshake.answered) {
            handshake.until = handshake.until.max(now.saturating_add(HOLD_MAX / 2));
        }
        self.end_if_drained();
    }

    /// A line from the daemon.
    pub(super) fn daemon_line(&mut self, line: &str, now: Duration) {
        match Message::parse(line) {
            Message::Response { id, is_error } => self.daemon_response(&id, is_error, line, now),
            Message::Request(call) => {
                if self.asked.len() < IN_FLIGHT_MAX {
                    self.asked.insert(call.key(), call.id);
                    self.tell_client(line.to_owned());
                }
            }
            Message::Notification { .. } => self.tell_client(line.to_owned()),
            // Nothing but MCP reaches the client.
            Message::Foreign | Message::Broken => {}
        }
    }

    /// Gives up what has waited too long.
    pub(super) fn tick(&mut self, now: Duration) {
        let unreachable = Trouble::unreachable(self.trouble.as_ref());
        while let Some(held) = self.held.pop_front_if(|held| held.until <= now) {
            self.tell_client(held.call.interrupted(&unreachable));
        }
        let late = self.link == Link::Down
            && self.unanswered_handshake().is_some_and(|handshake| handshake.until <= now);
        if let Some(handshake) = self.handshake.take_if(|_| late) {
            self.tell_client(handshake.call.interrupted(&unreachable));
        }
        if self.closing.is_some_and(|deadline| deadline <= now) {
            for call in self.take_waiting() {
                self.tell_client(call.interrupted(&unreachable));
            }
            self.exit(Ending::Done);
        }
        self.end_if_drained();
    }

    fn client_request(&mut self, call: Call, line: &str, now: Duration) {
        if let Some(refusal) = &self.refusal {
            let answer = call.refused(refusal);
            self.tell_client(answer);
            return self.exit(Ending::KeyRefused);
        }
        let until = now.saturating_add(HOLD_MAX);
        if call.method == "initialize" {
            if self.link == Link::Up {
                self.tell_daemon(line);
            }
            let line = line.to_owned();
            self.handshake =
                Some(Handshake { line, call, answered: false, initialized: false, until });
        } else if self.link == Link::Up && self.in_flight.len() < IN_FLIGHT_MAX {
            self.in_flight.insert(call.key(), call);
            self.tell_daemon(line);
        } else if self.link != Link::Up && self.held.len() < HELD_MAX {
            self.held.push_back(Held { line: line.to_owned(), call, until });
        } else {
            self.tell_client(call.interrupted(&Trouble::too_many()));
        }
    }

    fn client_notification(&mut self, method: &str, cancels: Option<&str>, line: &str) {
        if method == "notifications/initialized"
            && let Some(handshake) = &mut self.handshake
        {
            handshake.initialized = true;
        }
        if let Some(id) = cancels {
            self.held.retain(|held| held.call.key() != id);
            // The daemon need not answer it any more.
            self.in_flight.remove(id);
        }
        if self.link == Link::Up {
            self.tell_daemon(line);
        }
    }

    fn daemon_response(&mut self, id: &str, is_error: bool, line: &str, now: Duration) {
        if id.trim_start_matches('"').starts_with(REPLAY_PREFIX) {
            return self.replayed(id, is_error, now);
        }
        if let Some(handshake) = self.handshake.take() {
            let is_answer = !handshake.answered && handshake.call.key() == id;
            if !(is_answer && is_error) {
                let answered = handshake.answered || is_answer;
                self.handshake = Some(Handshake { answered, ..handshake });
            }
        }
        self.in_flight.remove(id);
        self.tell_client(line.to_owned());
        self.end_if_drained();
    }

    fn replayed(&mut self, id: &str, is_error: bool, now: Duration) {
        if self.link != Link::Replaying(id.to_owned()) {
            return;
        }
        if is_error {
            self.actions.push(Action::Leave);
            let why = Trouble {
                message: "the broker no longer speaks as this client does".to_owned(),
                next: "restart the client".to_owned(),
            };
            return self.lost(why, now);
        }
        if self.handshake.as_ref().is_some_and(|handshake| handshake.initialized) {
            self.tell_daemon(INITIALIZED);
        }
        self.go_up();
    }

    fn go_up(&mut self) {
        self.link = Link::Up;
        for Held { line, call, .. } in std::mem::take(&mut self.held) {
            self.in_flight.insert(call.key(), call);
            self.tell_daemon(&line);
        }
        if self.closing.is_some() {
            self.actions.push(Action::HalfClose);
        }
        self.end_if_drained();
    }

    /// All that has no answer yet.
    fn take_waiting(&mut self) -> Vec<Call> {
        let mut waiting: Vec<Call> = Vec::new();
        if let Some(handshake) = self.handshake.take_if(|handshake| !handshake.answered) {
            waiting.push(handshake.call);
        }
        waiting.extend(std::mem::take(&mut self.in_flight).into_values());
        waiting.extend(std::mem::take(&mut self.held).into_iter().map(|held| held.call));
        waiting
    }

    fn unanswered_handshake(&self) -> Option<&Handshake> {
        self.handshake.as_ref().filter(|handshake| !handshake.answered)
    }

    fn end_if_drained(&mut self) {
        let drained = self.in_flight.is_empty()
            && self.held.is_empty()
            && self.unanswered_handshake().is_none();
        if drained && self.closing.is_some() {
            self.exit(Ending::Done);
        }
    }

    fn exit(&mut self, ending: Ending) {
        if !self.actions.iter().any(|action| matches!(action, Action::Exit(_))) {
            self.actions.push(Action::Exit(ending));
        }
    }

    fn tell_client(&mut self, line: String) {
        self.actions.push(Action::ToClient(line));
    }

    fn tell_daemon(&mut self, line: &str) {
        self.actions.push(Action::ToDaemon(line.to_owned()));
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
