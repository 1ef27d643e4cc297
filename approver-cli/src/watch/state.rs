//! The inbox without screen and daemon: events in, at most one effect out.

use std::collections::BTreeSet;

use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, ApprovedBy, Ballot, VoteRequest, VoteResponse,
};

use super::outcome;
use crate::card;
use crate::error::{CliError, Exit};
use crate::text::{safe_line, shortened};
use crate::time::Time;
use crate::vote::Seen;
use crate::words::{self, GrantKind};

/// Settled asks that stay on the screen.
const SETTLED_MAX: usize = 50;
const REASON_CHARS_MAX: usize = 500;
/// As many characters of an id as the list shows.
pub(super) const ID_CHARS: usize = 9;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Enter,
    Escape,
    Backspace,
    Char(char),
    Quit,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Key(Key),
    Joined,
    Approval(Box<Approval>),
    CaughtUp,
    /// Why the daemon does not answer.
    Lost(String),
    Voted(Result<Box<VoteResponse>, CliError>),
}

/// What is to be done about it.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Vote(Box<VoteRequest>),
    Quit,
}

/// What the screen shows.
#[derive(Debug, Default)]
pub(super) enum Mode {
    #[default]
    List,
    Detail,
    Help,
    /// Asked once more before an approval, which is good for this.
    Confirm(Question, GrantKind),
    /// Typing the reason of a denial.
    Reason(Question, String),
}

/// An ask as it stood on the screen when its answer began.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) seen: Seen,
    pub(super) card: String,
}

impl Mode {
    /// What is being answered.
    fn question(&self) -> Option<&Question> {
        match self {
            Self::Confirm(question, _) | Self::Reason(question, _) => Some(question),
            Self::List | Self::Detail | Self::Help => None,
        }
    }
}

impl Question {
    /// Whether the same ask is no longer what it was.
    fn is_other_than(&self, news: &Approval) -> bool {
        let asked = &self.seen.approval;
        asked.id == news.id && (asked.digest != news.digest || !is_pending(news))
    }
}

/// Whether the daemon answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Joining,
    Live,
    Lost(String),
}

/// All there is to see.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Pending ones first, newest first.
    items: Vec<Approval>,
    selected: Option<String>,
    pub(super) mode: Mode,
    pub(super) link: Link,
    /// The last thing worth saying.
    pub(super) notice: String,
    /// First line of the detail that shows.
    pub(super) scroll: u16,
    /// The question whose answer is on its way.
    voting: Option<Mode>,
    /// What this connection has named, until it has caught up.
    named: Option<BTreeSet<String>>,
}

impl Inbox {
    pub(super) fn items(&self) -> &[Approval] {
        &self.items
    }

    pub(super) fn pending(&self) -> usize {
        self.items.iter().filter(|item| is_pending(item)).count()
    }

    pub(super) fn selected(&self) -> Option<&Approval> {
        self.items.get(self.position()?)
    }

    pub(super) fn position(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.items.iter().position(|item| item.id == *selected)
    }

    pub(super) fn update(&mut self, event: Event, now: Time) -> Option<Effect> {
        match event {
            Event::Key(key) => return self.key(key, now),
            Event::Joined => {
                self.link = Link::Live;
                self.named = Some(BTreeSet::new());
            }
            Event::Approval(approval) => self.learn(*approval),
            Event::CaughtUp => self.caught_up(),
            Event::Lost(why) => self.link = Link::Lost(why),
            Event::Voted(answer) => self.voted(answer),
        }
        None
    }

    fn key(&mut self, key: Key, now: Time) -> Option<Effect> {
        if key == Key::Quit {
            return Some(Effect::Quit);
        }
        match std::mem::take(&mut self.mode) {
            Mode::Help => None,
            Mode::Confirm(question, kind) => self.confirm_key(question, kind, key),
            Mode::Reason(question, text) => self.reason_key(question, text, key),
            mode @ (Mode::List | Mode::Detail) => {
                self.mode = mode;
                self.browse_key(key, now)
            }
        }
    }

    fn browse_key(&mut self, key: Key, now: Time) -> Option<Effect> {
        let detail = matches!(self.mode, Mode::Detail);
        match key {
            Key::Char('q') => return Some(Effect::Quit),
            Key::Char('?') => self.mode = Mode::Help,
            Key::Char('a') => self.confirm(GrantKind::Lease, now),
            Key::Char('s') if self.selected().is_some_and(|item| !item.may_remember) => {
                "its rule lets no approval be remembered for a session"
                    .clone_into(&mut self.notice);
            }
            Key::Char('s') => self.confirm(GrantKind::Session, now),
            Key::Char('d') => {
                let question = self.question(now);
                self.mode = question.map_or(Mode::List, |asked| Mode::Reason(asked, String::new()));
            }
            Key::Enter if self.selected().is_some() => {
                self.mode = if detail { Mode::List } else { Mode::Detail };
                self.scroll = 0;
            }
            Key::Escape => self.mode = Mode::List,
            Key::Down | Key::Char('j') if detail => self.scroll = self.scroll.saturating_add(1),
            Key::Up | Key::Char('k') if detail => self.scroll = self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.step(1),
            Key::Up | Key::Char('k') => self.step(-1),
            Key::Enter | Key::Backspace | Key::Char(_) | Key::Quit => {}
        }
        None
    }

    fn confirm(&mut self, kind: GrantKind, now: Time) {
        let question = self.question(now);
        self.mode = question.map_or(Mode::List, |asked| Mode::Confirm(asked, kind));
    }

    fn confirm_key(&mut self, question: Question, kind: GrantKind, key: Key) -> Option<Effect> {
        match key {
            Key::Char('y' | 'Y') => {
                let vote = question.seen.vote(Ballot::Approve);
                let vote = VoteRequest { kind: kind.to_proto(), ..vote };
                Some(self.send(vote, Mode::Confirm(question, kind)))
            }
            Key::Down | Key::Char('j') => {
                self.scroll = self.scroll.saturating_add(1);
                self.mode = Mode::Confirm(question, kind);
                None
            }
            Key::Up | Key::Char('k') => {
                self.scroll = self.scroll.saturating_sub(1);
                self.mode = Mode::Confirm(question, kind);
                None
            }
            Key::Enter | Key::Escape | Key::Backspace | Key::Char(_) | Key::Quit => {
                "not approved: you did not say y".clone_into(&mut self.notice);
                None
            }
        }
    }

    fn reason_key(&mut self, question: Question, mut text: String, key: Key) -> Option<Effect> {
        match key {
            Key::Escape => {
                "not denied".clone_into(&mut self.notice);
                return None;
            }
            Key::Enter if !text.trim().is_empty() => {
                let reason = text.trim().to_owned();
                let vote = VoteRequest { reason, ..question.seen.vote(Ballot::Deny) };
                return Some(self.send(vote, Mode::Reason(question, text)));
            }
            Key::Enter => "a denial needs a reason".clone_into(&mut self.notice),
            Key::Backspace => drop(text.pop()),
            Key::Char(c) if text.chars().count() < REASON_CHARS_MAX => text.push(c),
            Key::Char(_) | Key::Up | Key::Down | Key::Quit => {}
        }
        self.mode = Mode::Reason(question, text);
        None
    }

    /// Freezes what stands on the screen; nothing where there is nothing to answer.
    fn question(&mut self, now: Time) -> Option<Question> {
        let approval = self.selected().cloned();
        let fault = match &approval {
            None => Some("nothing is selected".to_owned()),
            Some(_) if self.voting.is_some() => {
                Some("wait for the answer to your last vote".to_owned())
            }
            Some(approval) if !is_pending(approval) => {
                Some(format!("it is {} already", words::approval_status(approval.status)))
            }
            Some(approval) if !approval.may_vote => {
                Some(format!("you may not vote: {}", safe_line(&approval.may_not_vote_because)))
            }
            Some(_) => None,
        };
        self.scroll = 0;
        self.notice = fault.clone().unwrap_or_default();
        let approval = approval.filter(|_| fault.is_none())?;
        let card = card::card(&approval, now);
        Some(Question { seen: Seen::new(approval, card.clone()), card })
    }

    fn send(&mut self, request: VoteRequest, asked: Mode) -> Effect {
        self.voting = Some(asked);
        "sending your vote".clone_into(&mut self.notice);
        Effect::Vote(Box::new(request))
    }

    fn voted(&mut self, answer: Result<Box<VoteResponse>, CliError>) {
        let asked = self.voting.take();
        match answer {
            Ok(answer) => {
                self.notice = outcome(&answer);
                if let Some(approval) = answer.approval {
                    self.learn(approval);
                }
            }
            Err(error) => {
                // An answer that did not get through is not to be typed again.
                if error.exit == Exit::Unreachable && matches!(self.mode, Mode::List) {
                    self.mode = asked.unwrap_or_default();
                }
                self.notice = match error.next {
                    Some(next) => format!("{}; {next}", error.message),
                    None => error.message,
                };
            }
        }
    }

    /// A new ask, or news about a known one.
    fn learn(&mut self, approval: Approval) {
        if let Some(named) = &mut self.named {
            named.insert(approval.id.clone());
        }
        self.drop_question_about(&approval);
        self.notice_news(&approval);
        self.items.retain(|item| item.id != approval.id);
        self.items.push(approval);
        self.tidy();
    }

    /// Says what must not be overlooked: broken glasses, reminders, stops.
    fn notice_news(&mut self, news: &Approval) {
        let known = self.items.iter().find(|item| item.id == news.id);
        let id = shortened(&safe_line(&news.id), ID_CHARS);
        if news.approved_by() == ApprovedBy::BreakGlass {
            if known.is_none_or(|known| known.approved_by() != ApprovedBy::BreakGlass) {
                let by = safe_line(&news.break_glass_by);
                self.notice = format!("{by} BROKE THE GLASS: {id}; see `vouchsafe reviews`");
            }
            return;
        }
        let Some(known) = known.filter(|_| is_pending(news)) else {
            return;
        };
        if news.reminders > known.reminders {
            self.notice = format!("reminder {}: {id} still waits", news.reminders);
        } else if news.stopped && !known.stopped {
            self.notice = format!("{id} is stopped: it can only be denied");
        }
    }

    /// What was being answered is no longer what it was.
    fn drop_question_about(&mut self, news: &Approval) {
        let is_stale =
            |asked: &Mode| asked.question().is_some_and(|asked| asked.is_other_than(news));
        self.voting =
            self.voting.take().map(|asked| if is_stale(&asked) { Mode::List } else { asked });
        if is_stale(&self.mode) {
            self.mode = Mode::List;
            self.notice = format!("it is {} now: look again", words::approval_status(news.status));
        }
    }

    /// Pending asks that this connection did not name were settled while it was down.
    fn caught_up(&mut self) {
        if let Some(named) = self.named.take() {
            self.items.retain(|item| !is_pending(item) || named.contains(&item.id));
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let position = self.position();
        self.items.sort_by_key(|item| {
            let at = if is_pending(item) { item.created_at } else { item.settled_at };
            let at = at.map_or((0, 0), |at| (at.seconds, at.nanos));
            (!is_pending(item), std::cmp::Reverse(at))
        });
        let pending = self.pending();
        self.items.truncate(pending.saturating_add(SETTLED_MAX));
        if self.position().is_none() {
            let near = position.unwrap_or(0).min(self.items.len().saturating_sub(1));
            self.selected = self.items.get(near).map(|item| item.id.clone());
        }
    }

    fn step(&mut self, by: isize) {
        let last = self.items.len().saturating_sub(1);
        let at = self.position().unwrap_or(0).saturating_add_signed(by).min(last);
        self.selected = self.items.get(at).map(|item| item.id.clone());
        self.scroll = 0;
    }
}

fn is_pending(approval: &Approval) -> bool {
    approval.status() == ApprovalStatus::Pending
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::card::tests::{approval, noon};

    fn ask(id: &str, second: i64) -> Event {
        let mut approval = approval();
        approval.id = id.to_owned();
        approval.created_at = Some(prost_types::Timestamp { seconds: second, nanos: 0 });
        Event::Approval(Box::new(approval))
    }

    fn settled(id: &str) -> Event {
        let mut approval = approval();
        approval.id = id.to_owned();
        approval.status = ApprovalStatus::Approved.into();
        approval.settled_at = Some(prost_types::Timestamp { seconds: 9, nanos: 0 });
        Event::Approval(Box::new(approval))
    }

    /// After these events; no effect expected from any.
    pub(in super::super) fn inbox(events: Vec<Event>) -> Inbox {
        let mut inbox = Inbox::default();
        for event in events {
            assert_eq!(inbox.update(event, noon()), None);
        }
        inbox
    }

    pub(in super::super) fn three() -> Vec<Event> {
        vec![Event::Joined, ask("ap_1", 1), ask("ap_2", 2), settled("ap_0"), Event::CaughtUp]
    }

    fn keys(inbox: &mut Inbox, keys: &str) -> Option<Effect> {
        let mut effect = None;
        for key in keys.chars() {
            let key = match key {
                '\n' => Key::Enter,
                '\u{1b}' => Key::Escape,
                '\u{8}' => Key::Backspace,
                c => Key::Char(c),
            };
            effect = inbox.update(Event::Key(key), noon());
        }
        effect
    }

    fn ids(inbox: &Inbox) -> Vec<&str> {
        inbox.items().iter().map(|item| item.id.as_str()).collect()
    }

    #[test]
    fn pending_asks_come_first_and_newest_first() {
        let inbox = inbox(three());
        assert_eq!(ids(&inbox), ["ap_2", "ap_1", "ap_0"]);
        assert_eq!(inbox.pending(), 2);
        assert_eq!(inbox.selected().unwrap().id, "ap_1", "the selection stays where it was");
    }

    #[test]
    fn an_approval_needs_a_second_key() {
        let mut inbox = inbox(three());
        assert_eq!(keys(&mut inbox, "a"), None);
        let Mode::Confirm(question, _) = &inbox.mode else { panic!("no question") };
        let digest = card::digest(&question.card);
        let Some(Effect::Vote(vote)) = keys(&mut inbox, "y") else { panic!("no vote") };
        assert_eq!((vote.id.as_str(), vote.ballot), ("ap_1", 1));
        assert_eq!(vote.rendering_digest, digest);
        assert_eq!(keys(&mut inbox, "ay"), None, "one vote at a time");
    }

    #[test]
    fn anything_but_y_approves_nothing() {
        for key in ["n", "\n", "\u{1b}", "x"] {
            let mut inbox = inbox(three());
            assert_eq!(keys(&mut inbox, &format!("a{key}")), None);
            assert!(matches!(inbox.mode, Mode::List));
        }
    }

    #[test]
    fn a_denial_needs_a_reason() {
        let mut inbox = inbox(three());
        assert_eq!(keys(&mut inbox, "d\n"), None);
        let Some(Effect::Vote(vote)) = keys(&mut inbox, "noo\u{8}pe\n") else { panic!("no vote") };
        assert_eq!((vote.ballot, vote.reason.as_str(), vote.kind), (2, "nope", 0));
    }

    #[test]
    fn a_question_about_what_changed_is_dropped() {
        let mut inbox = inbox(three());
        keys(&mut inbox, "a");
        inbox.update(settled("ap_1"), noon());
        assert!(matches!(inbox.mode, Mode::List));
        assert_eq!(keys(&mut inbox, "y"), None);
        assert_eq!(inbox.notice, "it is approved now: look again");
    }

    #[test]
    fn nothing_settled_can_be_answered() {
        let mut inbox = inbox(vec![Event::Joined, settled("ap_0"), Event::CaughtUp]);
        assert_eq!(keys(&mut inbox, "a"), None);
        assert_eq!(inbox.notice, "it is approved already");
    }

    #[test]
    fn asks_that_settled_while_the_daemon_was_away_disappear() {
        let mut inbox = inbox(three());
        inbox.update(Event::Lost("gone".to_owned()), noon());
        assert_eq!(inbox.link, Link::Lost("gone".to_owned()));
        for event in [Event::Joined, ask("ap_2", 2), Event::CaughtUp] {
            inbox.update(event, noon());
        }
        assert_eq!(ids(&inbox), ["ap_2", "ap_0"]);
        assert_eq!(inbox.link, Link::Live);
    }

    #[test]
    fn a_refused_vote_says_what_to_do_next() {
        let mut inbox = inbox(three());
        keys(&mut inbox, "ay");
        let error = CliError::new(Exit::Conflict, "it changed").with_next("look again");
        inbox.update(Event::Voted(Err(error)), noon());
        assert_eq!(inbox.notice, "it changed; look again");
        assert!(keys(&mut inbox, "ay").is_some(), "and can be cast again");
    }

    #[test]
    fn an_answer_that_did_not_get_through_is_still_there() {
        let mut inbox = inbox(three());
        assert!(keys(&mut inbox, "dtoo late\n").is_some());
        let away = || CliError::new(Exit::Unreachable, "no daemon answers");
        inbox.update(Event::Voted(Err(away())), noon());
        assert!(matches!(&inbox.mode, Mode::Reason(_, text) if text == "too late"));
        let Some(Effect::Vote(vote)) = keys(&mut inbox, "\n") else { panic!("no vote") };
        assert_eq!(vote.reason, "too late");
        // Settled meanwhile, it is not asked about again.
        inbox.update(settled("ap_1"), noon());
        inbox.update(Event::Voted(Err(away())), noon());
        assert!(matches!(inbox.mode, Mode::List));
    }

    #[test]
    fn the_selection_stays_within_the_list() {
        let mut inbox = inbox(three());
        keys(&mut inbox, "jjjjj");
        assert_eq!(inbox.selected().unwrap().id, "ap_0");
        keys(&mut inbox, "kkkkk");
        assert_eq!(inbox.selected().unwrap().id, "ap_2");
        assert_eq!(keys(&mut Inbox::default(), "jk\nad"), None);
    }

    #[test]
    fn q_quits_but_not_in_the_middle_of_a_reason() {
        let mut inbox = inbox(three());
        assert_eq!(keys(&mut inbox, "dq"), None);
        assert_eq!(keys(&mut inbox, "\u{1b}q"), Some(Effect::Quit));
    }

    fn changed(id: &str, change: impl FnOnce(&mut Approval)) -> Event {
        let mut approval = approval();
        approval.id = id.to_owned();
        change(&mut approval);
        Event::Approval(Box::new(approval))
    }

    #[test]
    fn an_approval_for_a_session_needs_a_rule_that_allows_it() {
        let mut inbox = inbox(three());
        assert_eq!(keys(&mut inbox, "s"), None);
        assert!(matches!(inbox.mode, Mode::List));
        assert_eq!(inbox.notice, "its rule lets no approval be remembered for a session");
        inbox.update(changed("ap_1", |approval| approval.may_remember = true), noon());
        assert_eq!(keys(&mut inbox, "s"), None);
        assert!(matches!(inbox.mode, Mode::Confirm(_, GrantKind::Session)));
        let Some(Effect::Vote(vote)) = keys(&mut inbox, "y") else { panic!("no vote") };
        assert_eq!((vote.ballot, vote.kind), (1, GrantKind::Session.to_proto()));
    }

    #[test]
    fn a_broken_glass_a_reminder_and_a_stop_are_said() {
        let mut inbox = inbox(three());
        inbox.update(changed("ap_1", |approval| approval.reminders = 1), noon());
        assert_eq!(inbox.notice, "reminder 1: ap_1 still waits");
        inbox.update(changed("ap_2", |approval| approval.stopped = true), noon());
        assert_eq!(inbox.notice, "ap_2 is stopped: it can only be denied");
        let broken = changed("ap_3", |approval| {
            approval.set_status(ApprovalStatus::Approved);
            approval.set_approved_by(ApprovedBy::BreakGlass);
            approval.break_glass_by = "jane".to_owned();
        });
        inbox.update(broken, noon());
        assert_eq!(inbox.notice, "jane BROKE THE GLASS: ap_3; see `vouchsafe reviews`");
    }
}
