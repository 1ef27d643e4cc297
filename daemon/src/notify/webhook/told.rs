//! What people are told, before it is written as one of their apps wants it.

use vouchsafe_core::route::{Body, Event, Fact, Message};

/// What stands in the place of what there is no room for.
pub(super) const CUT: &str = "… (cut)";

/// One line of a message.
#[derive(Debug)]
pub(super) struct Told {
    /// What it is.
    pub(super) label: String,
    /// One line.
    pub(super) text: String,
    /// An agent's words.
    pub(super) untrusted: bool,
}

/// How much something concerns people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weight {
    /// Good to know.
    News,
    /// How something ended well.
    Good,
    /// How something ended otherwise.
    Bad,
    /// People are asked.
    Asks,
    /// People are to look now.
    Urgent,
}

impl Told {
    fn new(label: &str, text: impl Into<String>) -> Self {
        Self { label: label.to_owned(), text: text.into(), untrusted: false }
    }

    fn of(fact: &Fact) -> Self {
        let untrusted = fact.untrusted;
        let label =
            if untrusted { format!("{} (says the agent)", fact.label) } else { fact.label.into() };
        Self { label, text: fact.text.clone(), untrusted }
    }
}

/// The lines of a message, the most important first; none for a code that is one person's.
pub(super) fn lines(message: &Message) -> Option<Vec<Told>> {
    let mut lines = Vec::new();
    match &message.body {
        Body::Facts { facts, answer, outcome, .. } => {
            lines.extend(outcome.as_deref().map(|outcome| Told::new("Outcome", outcome)));
            if let Some(answer) = answer {
                lines.push(Told::new("Digest", answer.digest.short()));
                lines.push(Told::new("Answer by", answer.until.rfc3339()));
                if !answer.whole {
                    lines.push(Told::new("Not all is here", "open the page before you answer"));
                }
            }
            lines.extend(facts.iter().map(Told::of));
        }
        Body::Digest(messages) => {
            for line in messages {
                lines.push(Told::new(&line.at.rfc3339(), line.headline.clone()));
                lines.extend(line.outcome.as_deref().map(|outcome| Told::new("Outcome", outcome)));
                lines.extend(line.digest.map(|digest| Told::new("Digest", digest.short())));
            }
        }
        Body::Test { by } => lines.push(Told::new("Test", format!("{by} tries this channel"))),
        Body::SignIn { .. } => return None,
    }
    lines.extend(message.project.as_deref().map(|project| Told::new("Project", project)));
    Some(lines)
}

/// How much a message concerns people.
pub(super) fn weight(message: &Message) -> Weight {
    match message.event {
        _ if matches!(message.body, Body::Test { .. }) => Weight::News,
        Event::ApprovalRequested | Event::ApprovalReminder => Weight::Asks,
        Event::ApprovalEscalated | Event::BreakGlass | Event::Alert => Weight::Urgent,
        Event::ApprovalDecided if message.headline.starts_with("Approved") => Weight::Good,
        Event::ApprovalDecided | Event::ApprovalExpired | Event::LeaseRevoked => Weight::Bad,
        Event::LeaseIssued | Event::LeaseExpired => Weight::News,
    }
}

/// As much of a text as a format takes: each character is written by `write`, and counted by
/// `size` of what was written; [`CUT`] ends what is cut, and is part of the count.
pub(super) fn fit(
    text: &str,
    max: usize,
    size: impl Fn(&str) -> usize,
    write: impl Fn(char, &mut String),
) -> String {
    let mut all = String::new();
    // Where to cut, should it not fit.
    let (mut keep, mut long) = (0, 0);
    for c in text.chars() {
        let before = all.len();
        write(c, &mut all);
        long += size(all.get(before..).unwrap_or_default());
        if long > max {
            all.truncate(keep);
            all.push_str(CUT);
            return all;
        }
        if long + size(CUT) <= max {
            keep = all.len();
        }
    }
    all
}

/// A character as it is.
pub(super) fn plain(c: char, out: &mut String) {
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_with_a_mark_and_between_characters() {
        let chars = |text: &str| text.chars().count();
        assert_eq!(fit("abc", 3, chars, plain), "abc");
        assert_eq!(fit(&"a".repeat(20), 10, chars, plain), "aaa… (cut)");
        assert_eq!(fit(&"é".repeat(20), 14, str::len, plain), "éé… (cut)");
        let escaped = fit("****************", 12, chars, |c, out| {
            out.push('\\');
            out.push(c);
        });
        assert_eq!(escaped, "\\*\\*… (cut)");
    }
}
