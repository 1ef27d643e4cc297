//! Adaptive cards of Microsoft Teams, as its Workflows take them.
//!
//! All text is in `TextRun`s, where nothing is Markdown; in a `TextBlock` it would be.

use serde_json::{Value, json};
use vouchsafe_core::route::Message;

use super::told::{Told, Weight, fit, lines, weight};

/// The longest headline, in bytes.
const HEADLINE_BYTES_MAX: usize = 1_000;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 2_000;
/// The longest of all lines, in bytes; Teams takes 28 KB with what is around them.
const LINES_BYTES_MAX: usize = 16_000;
/// The most lines.
const LINES_MAX: usize = 40;

/// The body; none for a code that is one person's.
pub(super) fn body(message: &Message) -> Option<Value> {
    let color = match weight(message) {
        Weight::News => "default",
        Weight::Good => "good",
        Weight::Bad | Weight::Asks => "warning",
        Weight::Urgent => "attention",
    };
    let mut blocks = vec![block(&[json!({
        "type": "TextRun",
        "text": text(&message.headline, HEADLINE_BYTES_MAX),
        "size": "large",
        "weight": "bolder",
        "color": color,
    })])];
    let all = lines(message)?;
    let mut left = LINES_BYTES_MAX;
    for line in all.iter().take(LINES_MAX) {
        let said = text(&line.text, LINE_BYTES_MAX);
        left = left.saturating_sub(said.len() + line.label.len());
        if left == 0 {
            break;
        }
        blocks.push(said_line(line, &said));
    }
    if blocks.len() <= all.len() {
        let more = all.len() + 1 - blocks.len();
        blocks.push(block(&[run(&format!("… (cut, {more} more on the page)"))]));
    }
    let actions = message
        .link
        .iter()
        .map(|link| json!({ "type": "Action.OpenUrl", "title": "Open", "url": link }));
    Some(json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
                "actions": actions.collect::<Vec<_>>(),
            },
        }],
    }))
}

fn said_line(line: &Told, said: &str) -> Value {
    let label = json!({
        "type": "TextRun", "text": format!("{}: ", line.label), "weight": "bolder",
    });
    let said = json!({ "type": "TextRun", "text": said, "italic": line.untrusted });
    block(&[label, said])
}

fn block(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text })
}

/// `{{` begins what cards put a date in.
fn text(text: &str, max: usize) -> String {
    fit(text, max, str::len, |c, out| {
        if c == '{' && out.ends_with('{') {
            out.push(' ');
        }
        out.push(c);
    })
}
