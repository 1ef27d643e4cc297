//! Text in Slack's own form. Whatever others wrote stands in plain text objects, where nothing is
//! a mention, a link or a format; mrkdwn is ours alone.

use serde_json::{Value, json};

/// Stands where a text goes on.
const CUT: &str = "… (cut)";

/// The text with Slack's three control characters written out: it reads the same, and begins
/// nothing.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut escaped, c);
    }
    escaped
}

/// [`escape`], cut where it would be longer than `max`; whether it was cut.
pub(super) fn escape_within(text: &str, max: usize) -> (String, bool) {
    let escaped = escape(text);
    if length(&escaped) <= max {
        return (escaped, false);
    }
    let room = max.saturating_sub(length(CUT));
    let (mut kept, mut used) = (String::new(), 0);
    for c in text.chars() {
        let mut one = String::new();
        push(&mut one, c);
        used += length(&one);
        if used > room {
            break;
        }
        kept.push_str(&one);
    }
    kept.push_str(CUT);
    (kept, true)
}

/// How long Slack may find a text: nobody says whether it counts characters or UTF-16 units, so the
/// larger number counts.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A plain text object, of a text that is escaped. Colons stay colons: no `:emoji:`.
pub(super) fn plain(escaped: &str) -> Value {
    json!({ "type": "plain_text", "text": escaped, "emoji": false })
}

/// A text object with format, of a text of our own. `verbatim`: nothing but the format is read.
pub(super) fn mrkdwn(ours: &str) -> Value {
    json!({ "type": "mrkdwn", "text": ours, "verbatim": true })
}

fn push(escaped: &mut String, c: char) {
    match c {
        '&' => escaped.push_str("&amp;"),
        '<' => escaped.push_str("&lt;"),
        '>' => escaped.push_str("&gt;"),
        _ => escaped.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(
            escape("<!channel> & <https://x|y>"),
            "&lt;!channel&gt; &amp; &lt;https://x|y&gt;"
        );
        assert_eq!(escape("&lt;"), "&amp;lt;");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_within_what_one_became() {
        assert_eq!(escape_within("abc", 3), ("abc".to_owned(), false));
        let (cut, was) = escape_within("&&&&&&&&&&", 20);
        assert!(was && length(&cut) <= 20);
        assert_eq!(cut, format!("&amp;&amp;{CUT}"));
        let (cut, was) = escape_within(&"🦀".repeat(20), 20);
        assert!(was && length(&cut) <= 20 && cut.starts_with('🦀'), "{cut}");
    }
}
