//! The picker on the screen.

use crossterm::event::{EventStream, KeyCode, KeyEvent, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{List, ListState, Paragraph, Wrap};
use ratatui::{DefaultTerminal, Frame};

use super::{Choice, Key, Mark, Outcome, Picker};
use crate::error::CliError;
use crate::text::safe_line;

/// Where the meaning of a choice begins.
const NAME_WIDTH: usize = 18;
/// With fewer columns only the choice under the cursor is explained, below the list.
const MEANINGS_COLUMNS_MIN: u16 = 54;

/// Asks which scopes the key with this name gets. Needs a terminal. The screen is as it was before
/// when this returns, and after a panic.
pub(in crate::keys) async fn pick(name: &str) -> Result<Vec<String>, CliError> {
    let terminal =
        ratatui::try_init().map_err(|error| CliError::io("taking over the terminal", &error))?;
    let restored = Restore;
    let outcome = interact(terminal, name).await;
    drop(restored);
    match outcome? {
        Outcome::Accepted(scopes) => Ok(scopes),
        Outcome::Cancelled => Err(CliError::failed("no key was made: you cancelled")),
    }
}

/// Gives the terminal back, however we leave. A panic is seen to by ratatui's own hook.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn interact(mut terminal: DefaultTerminal, name: &str) -> Result<Outcome, CliError> {
    let mut picker = Picker::default();
    let mut events = EventStream::new();
    loop {
        terminal
            .draw(|frame| draw(frame, &picker, name))
            .map_err(|error| CliError::io("drawing", &error))?;
        let key = match events.next().await {
            // Anything else, like another size of the window, is only drawn anew.
            Some(Ok(event)) => event.as_key_press_event().and_then(key_of),
            Some(Err(error)) => return Err(CliError::io("reading keys", &error)),
            None => Some(Key::Cancel),
        };
        if let Some(outcome) = key.and_then(|key| picker.key(key)) {
            return Ok(outcome);
        }
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Key::Cancel);
    }
    let known = [
        (KeyCode::Up, Key::Up),
        (KeyCode::Char('k'), Key::Up),
        (KeyCode::Down, Key::Down),
        (KeyCode::Char('j'), Key::Down),
        (KeyCode::Char(' '), Key::Toggle),
        (KeyCode::Enter, Key::Accept),
        (KeyCode::Esc, Key::Cancel),
    ];
    known.into_iter().find(|(code, _)| *code == key.code).map(|(_, key)| key)
}

fn draw(frame: &mut Frame<'_>, picker: &Picker, name: &str) {
    let [heading, list, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(6)])
            .areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = Line::styled(format!("What may {} do?", safe_line(name)), bold);
    frame.render_widget(Paragraph::new(title), heading);
    let explained = frame.area().width >= MEANINGS_COLUMNS_MIN;
    let rows = Choice::all().into_iter().map(|choice| row(picker, choice, explained));
    let list_of_choices = List::new(rows)
        .highlight_symbol("> ")
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(Some(picker.position()));
    frame.render_stateful_widget(list_of_choices, list, &mut state);
    let said = if picker.notice.is_empty() { picker.warning() } else { picker.notice };
    let meaning = if explained { "" } else { picker.choice().map_or("", Choice::meaning) };
    let lines = vec![
        Line::raw(meaning),
        Line::raw(said),
        Line::raw("j/k move  space chooses"),
        Line::raw("Enter makes the key  Esc cancels"),
    ];
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), footer);
}

fn row(picker: &Picker, choice: Choice, explained: bool) -> String {
    let mark = match picker.mark(choice) {
        Mark::All => "[x]",
        Mark::Some => "[-]",
        Mark::None => "[ ]",
    };
    let (name, meaning) = (choice.name(), choice.meaning());
    if explained { format!("{mark} {name:NAME_WIDTH$}{meaning}") } else { format!("{mark} {name}") }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn screen(picker: &Picker, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, picker, "claude")).unwrap();
        let lines = terminal.backend().buffer().content().chunks(usize::from(width));
        let lines: Vec<String> = lines
            .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n").trim_end().to_owned()
    }

    #[test]
    fn each_scope_stands_beside_what_it_means() {
        let expected = "\
What may claude do?

> [x] mcp:read          all that only reads
  [-] mcp:full          all but raw values
  [x] secrets:read      see names, use values unseen
  [ ] secrets:reveal    read raw values
  [ ] secrets:write     propose new values
  [ ] secrets:delete    propose deletions
  [x] tools:read        call tools that only read
  [ ] tools:write       call tools that change things
  [ ] tools:destructive call tools that destroy things
  [x] audit:read        query the log


j/k move  space chooses
Enter makes the key  Esc cancels";
        assert_eq!(screen(&Picker::default(), 60, 18), expected);
    }

    #[test]
    fn forty_columns_are_enough_for_every_name_and_the_warning() {
        let mut picker = Picker::default();
        for key in [Key::Down, Key::Toggle, Key::Down, Key::Down, Key::Toggle] {
            picker.key(key);
        }
        let shown = screen(&picker, 40, 18);
        for choice in Choice::all() {
            assert!(shown.contains(choice.name()), "{shown}");
        }
        let joined = shown.replace('\n', " ");
        assert!(joined.contains("read raw values"), "{shown}");
        assert!(joined.contains(picker.warning()), "{shown}");
        assert!(joined.contains("Esc cancels"), "{shown}");
    }

    #[test]
    fn no_screen_is_too_small_and_the_cursor_is_always_seen() {
        let mut picker = Picker::default();
        for _ in 0..12 {
            for (width, height) in [(1, 1), (3, 2), (10, 4), (40, 9), (200, 3)] {
                screen(&picker, width, height);
            }
            let shown = screen(&picker, 40, 10);
            assert!(shown.lines().any(|line| line.starts_with("> [")), "{shown}");
            picker.key(Key::Down);
        }
    }

    #[test]
    fn escape_and_control_c_cancel_and_other_keys_do_nothing() {
        let press = |code, modifiers| key_of(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE), Some(Key::Cancel));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Cancel));
        assert_eq!(press(KeyCode::Char('j'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char(' '), KeyModifiers::NONE), Some(Key::Toggle));
        assert_eq!(press(KeyCode::Down, KeyModifiers::NONE), Some(Key::Down));
    }
}
