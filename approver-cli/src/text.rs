//! Makes text safe to show: what a person sees in a terminal is what is there.
//!
//! The daemon does this to all it takes in; this is the same once more at the rim,
//! so that no answer of any daemon can move the cursor, hide or reorder text.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// One line: control, bidirectional and invisible characters become `\u{...}`, line feeds too.
pub(crate) fn safe_line(text: &str) -> String {
    escape(text, false)
}

/// Several lines: like `safe_line`, but line feeds stay.
pub(crate) fn safe_lines(text: &str) -> String {
    escape(text, true)
}

/// At most `max` characters of `text`, the last one an ellipsis where some were left out.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

fn escape(text: &str, keep_line_feeds: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if (c == '\n' && keep_line_feeds) || !is_deceptive(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_unicode());
        }
    }
    safe
}

/// Characters that steer the terminal, change the order of others, or cannot be seen.
fn is_deceptive(c: char) -> bool {
    let category = c.general_category();
    category == GeneralCategory::Control
        || category == GeneralCategory::Format
        || category == GeneralCategory::LineSeparator
        || category == GeneralCategory::ParagraphSeparator
        || category == GeneralCategory::PrivateUse
        || category == GeneralCategory::Unassigned
        || is_invisible(c)
}

/// Letters and marks that draw nothing (`Default_Ignorable_Code_Point` outside `Format`).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_written_out() {
        for (raw, shown) in [
            ("plain, with accents: déjà vu, 東京", "plain, with accents: déjà vu, 東京"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("two\nlines\r", "two\\u{a}lines\\u{d}"),
            ("\u{2028}\u{7f}\u{9b}", "\\u{2028}\\u{7f}\\u{9b}"),
            ("\u{3164}\u{fe0f}", "\\u{3164}\\u{fe0f}"),
        ] {
            assert_eq!(safe_line(raw), shown);
        }
    }

    #[test]
    fn safe_text_stays_as_it_is() {
        let once = safe_lines("a\nb\u{202e}");
        assert_eq!(once, "a\nb\\u{202e}");
        assert_eq!(safe_lines(&once), once);
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
