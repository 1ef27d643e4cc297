//! The inbox on the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, TableState, Wrap};
use vouchsafe_proto::v1::{Approval, ApprovalStatus, ApprovedBy};

use super::state::{ID_CHARS, Inbox, Link, Mode, Question};
use crate::text::{safe_line, shortened};
use crate::time::{self, Time};
use crate::words::GrantKind;
use crate::{approvals, card};

/// With fewer lines there is room for the list or the detail, not both.
const BOTH_LINES_MIN: u16 = 20;

/// The usual words for where an ask stands are no longer.
const STATUS_CHARS_MIN: usize = 9;

const HELP: &str = "\
j k, arrows   move, or scroll what is open
Enter         open and close the detail
a             approve; asks once more
s             approve for a session, where the rule allows it; asks once more
d             deny; asks for a reason, which the agent reads
Escape        back
?             this
q, Ctrl-C     quit

Any key goes back.";

pub(super) fn draw(frame: &mut Frame<'_>, inbox: &Inbox, now: Time) {
    let [header, body, status] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(2)])
            .areas(frame.area());
    frame.render_widget(heading(inbox), header);
    match &inbox.mode {
        Mode::List if body.height >= BOTH_LINES_MIN => {
            let [list, detail] =
                Layout::vertical([Constraint::Percentage(40), Constraint::Min(0)]).areas(body);
            draw_list(frame, list, inbox, now);
            draw_detail(frame, detail, inbox, now);
        }
        Mode::List => draw_list(frame, body, inbox, now),
        Mode::Detail => draw_detail(frame, body, inbox, now),
        Mode::Help => frame.render_widget(boxed(HELP, "Keys"), body),
        Mode::Confirm(question, kind) => {
            let pane = boxed(&question.card, &asked(question, *kind));
            frame.render_widget(pane.scroll((inbox.scroll, 0)), body);
        }
        Mode::Reason(question, text) => {
            let [card, input] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(3)]).areas(body);
            frame.render_widget(boxed(&question.card, "Deny this?"), card);
            draw_input(frame, input, text);
        }
    }
    frame.render_widget(footer(inbox), status);
}

/// The title of the question before an approval.
fn asked(question: &Question, kind: GrantKind) -> String {
    if kind != GrantKind::Session {
        return "Approve this? y approves, any other key does not".to_owned();
    }
    let session = question.seen.approval.session.and_then(time::span_from_proto);
    let session = session.map(|time| format!(" for {}", time::span(time))).unwrap_or_default();
    format!("Approve, and remember it{session}? y approves, any other key does not")
}

fn heading(inbox: &Inbox) -> Line<'static> {
    let link = match &inbox.link {
        Link::Joining => "joining".to_owned(),
        Link::Live => "live".to_owned(),
        Link::Lost(why) => format!("AWAY: {}; trying again", safe_line(why)),
    };
    let heading = format!("Vouchsafe  {} pending  {link}", inbox.pending());
    Line::styled(heading, Style::new().add_modifier(Modifier::BOLD))
}

fn footer(inbox: &Inbox) -> Paragraph<'static> {
    let keys = match inbox.mode {
        Mode::List => "j/k move  Enter detail  a approve  s session  d deny  ? help  q quit",
        Mode::Detail => "j/k scroll  Enter back  a approve  s session  d deny  ? help  q quit",
        Mode::Help => "any key goes back",
        Mode::Confirm(..) => "y approve  j/k scroll  any other key: not",
        Mode::Reason(..) => "Enter deny  Escape back",
    };
    let notice = Line::raw(safe_line(&inbox.notice));
    let keys = Line::styled(keys, Style::new().add_modifier(Modifier::DIM));
    Paragraph::new(vec![notice, keys])
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, inbox: &Inbox, now: Time) {
    if inbox.items().is_empty() {
        let text = match inbox.link {
            Link::Live => "Nobody asks for anything.",
            Link::Joining | Link::Lost(_) => "",
        };
        return frame.render_widget(boxed(text, "Asks"), area);
    }
    let rows = inbox.items().iter().map(|item| row(item, now));
    let standings = inbox.items().iter().map(|item| approvals::standing(item).chars().count());
    let standing = standings.max().unwrap_or(0).max(STATUS_CHARS_MIN);
    let widths = [
        Constraint::Length(9),
        Constraint::Length(u16::try_from(standing).unwrap_or(u16::MAX)),
        Constraint::Length(20),
        Constraint::Length(9),
        Constraint::Min(20),
        Constraint::Length(10),
    ];
    let header = Row::new(["ID", "STATUS", "KEY", "OPERATION", "RESOURCE", "ASKED"])
        .style(Style::new().add_modifier(Modifier::DIM));
    let table = Table::new(rows, widths)
        .header(header)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ")
        .block(Block::new().borders(Borders::TOP).title("Asks"));
    let mut state = TableState::new().with_selected(inbox.position());
    frame.render_stateful_widget(table, area, &mut state);
}

fn row(approval: &Approval, now: Time) -> Row<'static> {
    let key = approval.asker.as_ref().map(|asker| safe_line(&asker.key_name)).unwrap_or_default();
    let first = approval.items.first().map(|item| safe_line(&item.resource)).unwrap_or_default();
    let resource = match approval.items.len() {
        0 | 1 => first,
        count => format!("{first} and {} more", count.saturating_sub(1)),
    };
    let asked = approval.created_at.and_then(time::from_proto);
    let row = Row::new([
        shortened(&safe_line(&approval.id), ID_CHARS),
        approvals::standing(approval),
        key,
        approvals::operation(approval),
        resource,
        asked.map(|at| time::relative(at, now)).unwrap_or_default(),
    ]);
    if approval.approved_by() == ApprovedBy::BreakGlass {
        row.style(Style::new().add_modifier(Modifier::BOLD))
    } else if approval.status() == ApprovalStatus::Pending {
        row
    } else {
        row.style(Style::new().add_modifier(Modifier::DIM))
    }
}

fn draw_detail(frame: &mut Frame<'_>, area: Rect, inbox: &Inbox, now: Time) {
    let card = inbox.selected().map(|item| card::card(item, now)).unwrap_or_default();
    frame.render_widget(boxed(&card, "Detail").scroll((inbox.scroll, 0)), area);
}

fn draw_input(frame: &mut Frame<'_>, area: Rect, text: &str) {
    // The end of a long reason is what is being typed.
    let room = usize::from(area.width.saturating_sub(2));
    let skip = text.chars().count().saturating_sub(room);
    let shown: String = text.chars().skip(skip).chain(['_']).collect();
    frame.render_widget(boxed(&safe_line(&shown), "Reason; the agent reads it"), area);
}

fn boxed(text: &str, title: &str) -> Paragraph<'static> {
    Paragraph::new(text.to_owned())
        .wrap(Wrap { trim: false })
        .block(Block::new().borders(Borders::TOP).title(title.to_owned()))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::tests::{inbox, three};
    use super::super::state::{Event, Key};
    use super::*;
    use crate::card::tests::noon;

    fn screen(inbox: &Inbox, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, inbox, noon())).unwrap();
        let lines = terminal.backend().buffer().content().chunks(usize::from(width));
        let lines: Vec<String> = lines
            .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n")
    }

    #[test]
    fn an_empty_inbox_says_so() {
        let inbox = inbox(vec![Event::Joined, Event::CaughtUp]);
        let expected = "\
Vouchsafe  0 pending  live
Asks──────────────────────────────────────────────────────────────────
Nobody asks for anything.


j/k move  Enter detail  a approve  s session  d deny  ? help  q quit";
        assert_eq!(screen(&inbox, 70, 6), expected);
    }

    #[test]
    fn the_list_shows_who_wants_what() {
        let shown = screen(&inbox(three()), 100, 12);
        let line = shown.lines().find(|line| line.contains("ap_2")).unwrap();
        for part in ["pending", "claude-desktop", "read", "vouchsafe://secrets/production"] {
            assert!(line.contains(part), "{shown}");
        }
        assert!(shown.lines().any(|line| line.starts_with("> ap_1")), "{shown}");
    }

    #[test]
    fn a_large_screen_shows_the_detail_too() {
        let shown = screen(&inbox(three()), 100, 40);
        assert!(shown.contains("the agent's words: \"INC-1042: replica lag\""), "{shown}");
        assert!(shown.contains("claims to be \"Claude 1.2\""), "{shown}");
    }

    #[test]
    fn the_question_shows_the_whole_card() {
        let mut inbox = inbox(three());
        inbox.update(Event::Key(Key::Char('a')), noon());
        let shown = screen(&inbox, 100, 24);
        let Mode::Confirm(question, _) = &inbox.mode else { panic!("no question") };
        for line in question.card.lines() {
            assert!(shown.contains(line.trim_end()), "{line} is missing in\n{shown}");
        }
    }

    #[test]
    fn a_daemon_that_is_away_is_named_in_the_heading() {
        let mut inbox = inbox(three());
        inbox.update(Event::Lost("no daemon answers".to_owned()), noon());
        assert!(
            screen(&inbox, 80, 10).starts_with("Vouchsafe  2 pending  AWAY: no daemon answers")
        );
    }

    #[test]
    fn no_screen_is_too_small() {
        for mode in ["", "a", "d", "?", "\n"] {
            let mut inbox = inbox(three());
            for c in mode.chars() {
                let key = if c == '\n' { Key::Enter } else { Key::Char(c) };
                inbox.update(Event::Key(key), noon());
            }
            for (width, height) in [(1, 1), (3, 2), (10, 4), (200, 3)] {
                screen(&inbox, width, height);
            }
        }
    }
}
