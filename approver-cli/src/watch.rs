//! `watch`: asks as they come, answered where they are seen.

mod draw;
mod feed;
mod state;

use std::io::{self, IsTerminal as _};
use std::pin::{Pin, pin};
use std::time::Duration;

use clap::Args;
use crossterm::event::{EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use vouchsafe_proto::v1::{Approval, VoteRequest, VoteResponse};

use self::feed::Change;
use self::state::{Effect, Event, Inbox, Key};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::text::{safe_line, shortened};
use crate::{approvals, output, time, vote, words};

/// The times on the screen are told anew this often.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// Answer asks as they come, in a live inbox.
///
/// Keys: j and k or the arrows move, Enter opens, a approves (it asks once more), s approves for a
/// session where the rule allows it, d denies (it asks for a reason), ? helps, q quits. Goes on when the daemon restarts. Where standard output
/// is no terminal, or with -o json, it prints a line for each change instead.
#[derive(Args, Debug)]
pub(crate) struct Command {}

pub(crate) async fn run(_command: &Command, context: &Context) -> Result<(), CliError> {
    // A daemon that goes away is waited for; one that was never there is told of, as plain text.
    drop(context.daemon().await?);
    if context.out.is_json() || !output::is_terminal() || !io::stdin().is_terminal() {
        return print_changes(context).await;
    }
    let terminal =
        ratatui::try_init().map_err(|error| CliError::io("taking over the terminal", &error))?;
    let restored = Restore;
    let result = interact(terminal, context).await;
    drop(restored);
    result
}

/// Gives the terminal back, however we leave. A panic is seen to by ratatui's own hook.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

type Voting<'a> = Pin<Box<dyn Future<Output = Result<VoteResponse, CliError>> + 'a>>;

async fn interact(mut terminal: DefaultTerminal, context: &Context) -> Result<(), CliError> {
    let mut inbox = Inbox::default();
    let mut changes = pin!(feed::changes(context));
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(REDRAW_EVERY);
    let mut voting: Option<Voting<'_>> = None;
    loop {
        let now = time::now();
        terminal
            .draw(|frame| draw::draw(frame, &inbox, now))
            .map_err(|error| CliError::io("drawing", &error))?;
        let event = tokio::select! {
            Some(change) = changes.next() => Some(event_of(change)),
            input = keys.next() => match input {
                Some(Ok(input)) => input.as_key_press_event().and_then(key_of).map(Event::Key),
                Some(Err(error)) => return Err(CliError::io("reading keys", &error)),
                None => return Ok(()),
            },
            answer = settle(&mut voting) => {
                voting = None;
                Some(Event::Voted(answer.map(Box::new)))
            }
            _ = ticks.tick() => None,
        };
        match event.and_then(|event| inbox.update(event, time::now())) {
            Some(Effect::Quit) => return Ok(()),
            Some(Effect::Vote(request)) => voting = Some(Box::pin(send(context, *request))),
            None => {}
        }
    }
}

async fn settle(voting: &mut Option<Voting<'_>>) -> Result<VoteResponse, CliError> {
    match voting {
        Some(voting) => voting.await,
        None => std::future::pending().await,
    }
}

async fn send(context: &Context, request: VoteRequest) -> Result<VoteResponse, CliError> {
    let daemon = context.daemon().await?;
    Ok(daemon.approvals().vote(request).await?.into_inner())
}

fn event_of(change: Change) -> Event {
    match change {
        Change::Joined => Event::Joined,
        Change::Approval(approval) => Event::Approval(approval),
        Change::CaughtUp => Event::CaughtUp,
        Change::Lost(error) => Event::Lost(error.message),
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.kind != KeyEventKind::Press {
        return None;
    }
    if let KeyCode::Char(c) = key.code {
        return match (control, c) {
            (true, 'c') => Some(Key::Quit),
            (true, _) => None,
            (false, c) => Some(Key::Char(c)),
        };
    }
    let known = [
        (KeyCode::Up, Key::Up),
        (KeyCode::Down, Key::Down),
        (KeyCode::Enter, Key::Enter),
        (KeyCode::Esc, Key::Escape),
        (KeyCode::Backspace, Key::Backspace),
    ];
    known.into_iter().find(|(code, _)| *code == key.code).map(|(_, key)| key)
}

/// A line for each change, until nobody reads them.
async fn print_changes(context: &Context) -> Result<(), CliError> {
    let mut changes = pin!(feed::changes(context));
    let mut lost = false;
    while let Some(change) = changes.next().await {
        match change {
            Change::Approval(approval) => {
                context.out.event(&approvals::record(&approval), &line(&approval))?;
            }
            Change::Joined if std::mem::take(&mut lost) => output::note("the daemon is back"),
            Change::Joined | Change::CaughtUp => {}
            Change::Lost(error) if error.exit == Exit::Refused => return Err(error),
            Change::Lost(error) => {
                if !std::mem::replace(&mut lost, true) {
                    output::note(&format!("{}; trying again", error.message));
                }
            }
        }
    }
    Ok(())
}

fn line(approval: &Approval) -> String {
    let key = approval.asker.as_ref().map_or("-", |asker| asker.key_name.as_str());
    let resources: Vec<&str> = approval.items.iter().map(|item| item.resource.as_str()).collect();
    let reason = shortened(&approval.reason, 80);
    safe_line(&format!(
        "{}  {}  {key}  {}  {}  \"{reason}\"",
        approval.id,
        approvals::standing(approval),
        words::operation(approval.operation),
        resources.join(", "),
    ))
}

/// What the status line says after a vote.
fn outcome(answer: &VoteResponse) -> String {
    vote::outcome(answer).replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let mut approval = crate::card::tests::approval();
        approval.reason = "two\nlines".to_owned();
        assert_eq!(
            line(&approval),
            "ap_7k3m0000deadbeef  pending  claude-desktop  read  \
             vouchsafe://secrets/production/DATABASE_URL  \"two\\u{a}lines\""
        );
    }

    #[test]
    fn control_c_quits_and_other_control_keys_do_nothing() {
        let press = |code, modifiers| key_of(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('a'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Char('a'), KeyModifiers::NONE), Some(Key::Char('a')));
        assert_eq!(press(KeyCode::Up, KeyModifiers::NONE), Some(Key::Up));
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
