//! What a mail says: the same as text and as HTML, from the templates in `templates/mail`.

use askama::Template;
use vouchsafe_core::route::{Answerable, Body, Fact, Line, Message};
use vouchsafe_core::time::UnixTime;

/// How wide the text is, in characters: RFC 5322, 2.1.1.
const TEXT_CHARS_MAX: usize = 78;
/// What a line may begin with that all lines of it begin with: how far it is set in, and the mark
/// of somebody else's words.
const QUOTE: &str = "> ";

/// The two forms of a mail.
pub(super) struct Bodies {
    pub(super) text: String,
    pub(super) html: String,
}

/// What the templates show. All text of a message is safe on one line; HTML is escaped by them.
struct Mail<'a> {
    message: &'a Message,
    subject: &'a str,
    /// The page about it; empty where there is none.
    page: &'a str,
    facts: &'a [Fact],
    /// An agent's words have something in them that mail programs make a link of.
    names_links: bool,
    answer: Option<&'a Answerable>,
    outcome: Option<&'a str>,
    lines: &'a [Line],
    code: &'a str,
    minutes: u64,
    by: &'a str,
}

macro_rules! templates {
    ($($name:ident = $path:literal),*) => {$(
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            mail: &'a Mail<'a>,
        }
    )*};
}

templates!(
    FactsHtml = "mail/facts.html",
    FactsText = "mail/facts.txt",
    DigestHtml = "mail/digest.html",
    DigestText = "mail/digest.txt",
    SignInHtml = "mail/sign_in.html",
    SignInText = "mail/sign_in.txt",
    TestHtml = "mail/test.html",
    TestText = "mail/test.txt"
);

/// Both forms of a message.
pub(super) fn bodies(message: &Message, subject: &str) -> Result<Bodies, askama::Error> {
    let mut view = Mail {
        message,
        subject,
        page: message.link.as_deref().unwrap_or_default(),
        facts: &[],
        names_links: false,
        answer: None,
        outcome: None,
        lines: &[],
        code: "",
        minutes: 0,
        by: "",
    };
    let (html, text) = match &message.body {
        Body::Facts { facts, answer, outcome, approval: _ } => {
            view.facts = facts;
            view.names_links = facts.iter().any(|fact| fact.untrusted && names_link(&fact.text));
            view.answer = answer.as_deref();
            view.outcome = outcome.as_deref();
            (FactsHtml { mail: &view }.render()?, FactsText { mail: &view }.render()?)
        }
        Body::Digest(lines) => {
            view.lines = lines;
            (DigestHtml { mail: &view }.render()?, DigestText { mail: &view }.render()?)
        }
        Body::SignIn { code, minutes } => {
            (view.code, view.minutes) = (code, *minutes);
            (SignInHtml { mail: &view }.render()?, SignInText { mail: &view }.render()?)
        }
        Body::Test { by } => {
            view.by = by;
            (TestHtml { mail: &view }.render()?, TestText { mail: &view }.render()?)
        }
    };
    Ok(Bodies { text: wrap(&text), html })
}

impl Mail<'_> {
    /// Whose words a fact is, where it is not ours.
    #[expect(clippy::unused_self, reason = "templates call methods of what they show")]
    fn whose(&self, fact: &Fact) -> Option<&'static str> {
        match (fact.untrusted, fact.label) {
            (false, _) => None,
            (true, "Client") => Some("claimed, not checked"),
            (true, _) => Some("the agent's words"),
        }
    }

    /// `2026-11-21 10:44:00 UTC`
    #[expect(
        clippy::unused_self,
        clippy::trivially_copy_pass_by_ref,
        reason = "templates call methods of what they show, with references"
    )]
    fn when(&self, time: &UnixTime) -> String {
        let text = time.rfc3339();
        let seconds = text.split('.').next().unwrap_or(&text);
        format!("{} UTC", seconds.replace('T', " "))
    }
}

fn names_link(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["http:", "https:", "www.", "mailto:"].iter().any(|mark| text.contains(mark))
}

/// Breaks long lines between words. What a line begins with, all its parts begin with, so that
/// somebody else's words never stand where ours do. A word that is too long stays whole: it may be
/// an address to be opened.
fn wrap(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        // What ends a line with a blank is meant: it marks the signature.
        if line.chars().count() <= TEXT_CHARS_MAX {
            wrapped.push_str(line);
            wrapped.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (indent, rest) = line.split_at(indent);
        let quote = if rest.starts_with(QUOTE) { QUOTE } else { "" };
        let room = TEXT_CHARS_MAX - indent.len() - quote.len();
        let mut used = usize::MAX;
        for word in rest.strip_prefix(quote).unwrap_or(rest).split(' ') {
            let chars = word.chars().count();
            if used == usize::MAX || used + 1 + chars > room {
                if used != usize::MAX {
                    wrapped.push('\n');
                }
                wrapped.push_str(indent);
                wrapped.push_str(quote);
                used = 0;
            } else {
                wrapped.push(' ');
                used += 1;
            }
            wrapped.push_str(word);
            used += chars;
        }
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests;
