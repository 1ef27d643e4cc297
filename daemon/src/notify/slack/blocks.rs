//! A message as blocks.
//!
//! What is approved stands in them as a whole, or there is nothing to press but Details: a person
//! answers what they can read.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_core::route::{Answerable, Body, Fact, Line, Message, SlackAct, SlackTicket};
use vouchsafe_core::time::UnixTime;

use super::text::{escape_within, length, mrkdwn, plain};

/// The longest header.
const HEADER_CHARS_MAX: usize = 150;
/// The longest text of a section.
const SECTION_CHARS_MAX: usize = 3_000;
/// The longest text beside others.
const ELEMENT_CHARS_MAX: usize = 2_000;
/// What is short enough to stand in a column.
const COLUMN_CHARS_MAX: usize = 60;
/// The most pairs of columns of a section.
const PAIRS_MAX: usize = 5;
/// The longest link.
const LINK_CHARS_MAX: usize = 3_000;
/// The longest line for lists and banners.
const FALLBACK_CHARS_MAX: usize = 1_000;
/// Blocks for facts and lines; Slack takes 50, and the others are less than ten.
const BLOCKS_MAX: usize = 40;
/// Text in one message, all in all. Slack sends it back with each press, written out thrice as
/// long, and no request is over 64 KiB.
const TEXT_CHARS_MAX: usize = 6_000;

/// What a message can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A bot's, which hears of what is pressed.
    Buttons,
    /// Of an incoming webhook: there is nobody to hear.
    Links,
}

/// A message as Slack takes it.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    /// One line, for lists and banners.
    pub(super) text: String,
    /// The message.
    pub(super) blocks: Vec<Value>,
}

/// A message on its way.
#[derive(Debug, Default)]
struct Sheet {
    blocks: Vec<Value>,
    /// How much text there is already.
    chars: usize,
    /// Something did not fit.
    cut: bool,
    /// What stands in columns and is not on the sheet yet.
    columns: Vec<Value>,
}

/// The message as blocks.
pub(super) fn render(message: &Message, kind: Kind) -> Rendered {
    let mut sheet = Sheet::default();
    sheet.headline(&message.headline);
    let mut text = message.headline.clone();
    let mut answer = None;
    match &message.body {
        Body::Facts { facts, answer: asked, outcome, .. } => {
            if let Some(outcome) = outcome {
                sheet.text(outcome);
                text = format!("{text}: {outcome}");
            }
            for fact in facts {
                sheet.fact(fact);
            }
            answer = asked.as_deref();
        }
        Body::Digest(lines) => sheet.lines(lines),
        Body::SignIn { code, minutes } => {
            sheet.text(code);
            sheet.text(&format!("Good for {minutes} minutes. Nobody else has a use for it."));
        }
        Body::Test { by } => {
            sheet.text(&format!("{by} tries this channel. There is nothing to do."));
        }
    }
    sheet.footer(message, answer);
    let link = message.link.as_deref().filter(|link| is_link(link));
    match kind {
        Kind::Buttons => sheet.buttons(answer, link),
        Kind::Links => sheet.link(link),
    }
    let (text, _) = escape_within(&text, FALLBACK_CHARS_MAX);
    Rendered { text, blocks: sheet.blocks }
}

impl Sheet {
    fn headline(&mut self, text: &str) {
        let (escaped, cut) = escape_within(text, HEADER_CHARS_MAX);
        if cut {
            self.text(text);
        } else {
            self.chars += length(&escaped);
            self.blocks.push(json!({ "type": "header", "text": plain(&escaped) }));
        }
    }

    /// A paragraph.
    fn text(&mut self, text: &str) {
        let escaped = self.within(text, SECTION_CHARS_MAX);
        self.push(json!({ "type": "section", "text": plain(&escaped) }));
    }

    fn fact(&mut self, fact: &Fact) {
        let mut label = format!("*{}*", fact.label);
        if fact.untrusted {
            label.push_str(" · _claimed, not checked_");
        }
        if fact.cut {
            label.push_str(" · _not all of it_");
            self.cut = true;
        }
        if fact.text.is_empty() {
            return;
        }
        if fact.untrusted || fact.cut || length(&fact.text) > COLUMN_CHARS_MAX {
            self.push(json!({ "type": "context", "elements": [mrkdwn(&label)] }));
            self.text(&fact.text);
            return;
        }
        let escaped = self.within(&fact.text, ELEMENT_CHARS_MAX);
        self.columns.extend([mrkdwn(&label), plain(&escaped)]);
        if self.columns.len() >= 2 * PAIRS_MAX {
            self.flush();
        }
    }

    fn lines(&mut self, lines: &[Line]) {
        // Each takes two blocks; the newest are what somebody can still do something about.
        let fit = lines.len().min(BLOCKS_MAX / 2 - 1);
        let left = lines.len() - fit;
        if left > 0 {
            self.text(&format!("{left} older messages are not repeated here."));
        }
        for line in lines.iter().skip(left) {
            self.text(&line.headline);
            let mut below = vec![mrkdwn(&date(line.at))];
            if let Some(outcome) = &line.outcome {
                below.push(plain(&self.within(outcome, ELEMENT_CHARS_MAX)));
            }
            below.extend(line.digest.map(named));
            let link = line.link.as_deref().filter(|link| is_link(link));
            below.extend(link.map(|link| mrkdwn(&format!("<{link}|Details>"))));
            self.push(json!({ "type": "context", "elements": below }));
        }
    }

    /// What is the same in every channel: the digest, until when, where.
    fn footer(&mut self, message: &Message, answer: Option<&Answerable>) {
        self.flush();
        let mut below = Vec::new();
        if let Some(answer) = answer {
            below.push(named(answer.digest));
            below.push(mrkdwn(&format!("To be answered by {}", date(answer.until))));
        }
        if let Some(project) = &message.project {
            let (project, _) = escape_within(&format!("Project {project}"), ELEMENT_CHARS_MAX);
            below.push(plain(&project));
        }
        if !below.is_empty() {
            self.blocks.push(json!({ "type": "context", "elements": below }));
        }
        let whole = answer.is_none_or(|answer| answer.whole);
        if self.cut || !whole {
            let more = mrkdwn("_There is more than fits here: Details shows all of it._");
            self.blocks.push(json!({ "type": "context", "elements": [more] }));
        }
    }

    /// Approve and Deny where all that is approved stands above them; Details always.
    fn buttons(&mut self, answer: Option<&Answerable>, link: Option<&str>) {
        let details = link.map(|link| {
            json!({
                "type": "button",
                "action_id": SlackAct::Details.as_str(),
                "text": plain("Details"),
                "url": link,
            })
        });
        let whole = answer.filter(|answer| answer.whole && !self.cut);
        let mut elements: Vec<Value> = match whole {
            Some(_) => vec![
                button(SlackAct::Approve, "Approve", "primary"),
                button(SlackAct::Deny, "Deny", "danger"),
            ],
            None => Vec::new(),
        };
        elements.extend(details);
        if elements.is_empty() {
            return;
        }
        self.blocks.push(json!({ "type": "actions", "elements": elements }));
        if let Some(answer) = whole {
            self.carry(answer);
        }
    }

    /// Gives the buttons what they bring back. The hash is of the blocks without it.
    fn carry(&mut self, answer: &Answerable) {
        let ticket = SlackTicket {
            approval: answer.approval,
            digest: answer.digest,
            rendering: rendering(&self.blocks),
        };
        let Some(Value::Object(actions)) = self.blocks.last_mut() else { return };
        let Some(Value::Array(elements)) = actions.get_mut("elements") else { return };
        match ticket.write() {
            Some(value) => {
                for element in elements.iter_mut().filter_map(Value::as_object_mut) {
                    if !element.contains_key("url") {
                        element.insert("value".to_owned(), Value::String(value.clone()));
                    }
                }
            }
            None => elements.retain(|element| element.get("url").is_some()),
        }
    }

    fn link(&mut self, link: Option<&str>) {
        if let Some(link) = link {
            let details = mrkdwn(&format!("<{link}|Details>"));
            self.blocks.push(json!({ "type": "section", "text": details }));
        }
    }

    /// The text escaped, and within its own limit and the message's.
    fn within(&mut self, text: &str, max: usize) -> String {
        let room = TEXT_CHARS_MAX.saturating_sub(self.chars).min(max);
        let (escaped, cut) = escape_within(text, room);
        self.chars += length(&escaped);
        self.cut |= cut;
        // Slack takes no empty text.
        if escaped.is_empty() { "–".to_owned() } else { escaped }
    }

    fn flush(&mut self) {
        if !self.columns.is_empty() {
            let fields = std::mem::take(&mut self.columns);
            self.add(json!({ "type": "section", "fields": fields }));
        }
    }

    fn push(&mut self, block: Value) {
        self.flush();
        self.add(block);
    }

    fn add(&mut self, block: Value) {
        if self.blocks.len() < BLOCKS_MAX {
            self.blocks.push(block);
        } else {
            self.cut = true;
        }
    }
}

/// SHA-256, hex, of blocks as canonical JSON.
fn rendering(blocks: &[Value]) -> String {
    let canonical = serde_json_canonicalizer::to_vec(&blocks).unwrap_or_default();
    HEXLOWER.encode(digest(&SHA256, &canonical).as_ref())
}

fn button(act: SlackAct, text: &str, style: &str) -> Value {
    json!({ "type": "button", "action_id": act.as_str(), "text": plain(text), "style": style })
}

/// What an answer is about, the same in every channel.
fn named(digest: ApprovalDigest) -> Value {
    mrkdwn(&format!("Digest `{}`", digest.short()))
}

/// A time as each reader's own clock has it.
fn date(at: UnixTime) -> String {
    let seconds = at.ms().div_euclid(1_000);
    format!("<!date^{seconds}^{{date_short_pretty}} {{time}}|{}>", at.rfc3339())
}

/// Whether this is an address of ours that can stand in mrkdwn and behind a button.
fn is_link(link: &str) -> bool {
    (link.starts_with("https://") || link.starts_with("http://"))
        && link.len() <= LINK_CHARS_MAX
        && link.bytes().all(|b| b.is_ascii_graphic() && !b"<>|\"&".contains(&b))
}

#[cfg(test)]
mod tests;
