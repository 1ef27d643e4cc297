//! Text that others wrote, made safe to show.
//!
//! A reason is the agent's words, and an agent may have read a stranger's words: what is shown to
//! a person must not be able to reorder, hide or imitate anything. Nothing is lost, only written
//! out: U+202E becomes `\u{202e}`.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;

/// How many combining marks in a row are a way of writing; more are a way of hiding.
const MARKS_MAX: usize = 4;
/// How many letters in a row that look Latin are a word in disguise.
const DISGUISE_CHARS_MIN: usize = 3;
/// How many blanks in a row are a way of writing.
const BLANKS_MAX: usize = 8;
/// The most bytes that [`escape_untrusted`] makes of a character: `\u{10ffff}`.
pub(crate) const ESCAPED_BYTES_MAX: usize = 10;

/// A text that is safe to show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Escaped {
    /// The text, on one line, with nothing in it that cannot be seen.
    pub text: String,
    /// There was something in it that honest text seldom holds: invisible or reordering
    /// characters, a flood of marks or blanks, or letters that are there to be taken for others.
    pub suspicious: bool,
}

/// What an agent gives as its reason: 1 to 2,000 characters, at least one of them visible.
///
/// The original is kept and stored; people see [`Reason::shown`].
#[derive(Clone, Eq, PartialEq)]
pub struct Reason(String);

/// A text that is no reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReasonError {
    /// Nothing that can be seen.
    #[error("the reason is empty")]
    Empty,
    /// More than [`REASON_CHARS_MAX`].
    #[error("the reason has {chars} characters and may have 2000")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
}

impl Reason {
    /// Takes a reason, without the white space around it.
    pub fn parse(text: &str) -> Result<Self, ReasonError> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars > REASON_CHARS_MAX {
            return Err(ReasonError::TooLong { chars });
        }
        if visible_chars(text) == 0 {
            return Err(ReasonError::Empty);
        }
        Ok(Self(text.to_owned()))
    }

    /// The agent's words as they came. Not for showing.
    pub fn original(&self) -> &str {
        &self.0
    }

    /// The agent's words, safe to show.
    pub fn shown(&self) -> Escaped {
        escape_untrusted(&self.0)
    }

    /// How long it is where a rule asks for a length: its visible characters.
    pub fn length(&self) -> usize {
        visible_chars(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown().text, f)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Writes out whatever in the text cannot be seen or moves other text about.
///
/// A line break becomes `⏎` and a tab `\t`, so that the text stays on one line. Written as
/// `\u{...}`: control and format characters (among them bidi controls, zero-width and tag
/// characters), private use, unassigned, line and paragraph separators, blank letters, variation
/// selectors but for one of the first sixteen after a visible character, and combining marks with
/// nothing to stand on or after the fourth in a row. Some scripts lose a joiner by this; their
/// text stays readable. So are letters that are there to be taken for others: a Cyrillic one, or a
/// Greek one that looks Latin, in a word that has Latin letters too, or in a text in which no word
/// of these alphabets has any other; and Latin letters and digits of another shape or width. And so
/// are blanks that are no space of ordinary text, and those after the eighth in a row, which move
/// what follows out of sight.
pub fn escape_untrusted(text: &str) -> Escaped {
    let mut shown = String::with_capacity(text.len());
    let suspicious = escape_into(&mut shown, text);
    Escaped { text: shown, suspicious }
}

/// [`escape_untrusted`] at the end of a text; whether there was something suspicious in it. A
/// character becomes [`ESCAPED_BYTES_MAX`] bytes at most.
pub(crate) fn escape_into(shown: &mut String, text: &str) -> bool {
    let mut suspicious = false;
    // Marks since the last character that something can stand on; none may stand at the start.
    let mut marks = MARKS_MAX;
    let mut blanks = 0;
    let mut chars = imitations(text).peekable();
    while let Some((c, imitates)) = chars.next() {
        blanks = if c.is_whitespace() { blanks + 1 } else { 0 };
        match class(c) {
            _ if imitates || blanks > BLANKS_MAX => {
                shown.extend(c.escape_unicode());
                suspicious = true;
                marks = MARKS_MAX;
            }
            Class::Plain => {
                shown.push(c);
                marks = 0;
            }
            Class::Mark if marks < MARKS_MAX => {
                shown.push(c);
                marks += 1;
            }
            Class::Selector if marks == 0 => {
                shown.push(c);
                marks = MARKS_MAX;
            }
            Class::Break => {
                if c == '\r' && chars.peek().is_some_and(|(next, _)| *next == '\n') {
                    chars.next();
                }
                shown.push('⏎');
                marks = MARKS_MAX;
            }
            Class::Tab => {
                shown.push_str("\\t");
                marks = MARKS_MAX;
            }
            Class::Mark | Class::Selector | Class::Hidden => {
                shown.extend(c.escape_unicode());
                suspicious = true;
                marks = MARKS_MAX;
            }
        }
    }
    suspicious
}

/// The same JSON, with `\u` escapes for what [`escape_untrusted`] would write out: whoever reads it
/// as JSON reads what it was, and nothing in it hides or moves other text.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for (c, imitates) in imitations(json) {
        let mut one = [0; 4];
        if imitates || escape_untrusted(c.encode_utf8(&mut one)).suspicious {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Cuts a text that is longer than `max` characters, and says so.
pub fn limit_chars(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => {
            let kept = text.get(..at).unwrap_or_default();
            format!("{kept}… (cut, {} characters in all)", text.chars().count())
        }
    }
}

/// Somebody's text as it is repeated in a message about it: escaped, then cut.
pub fn echo(text: &str, max: usize) -> String {
    limit_chars(&escape_untrusted(text).text, max)
}

/// How many characters take up room and ink: no white space, no marks, nothing hidden.
pub fn visible_chars(text: &str) -> usize {
    text.chars().filter(|c| class(*c) == Class::Plain && !c.is_whitespace()).count()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Plain,
    /// Drawn over the character before it.
    Mark,
    /// Picks a form of the character before it: `U+FE00` to `U+FE0F`.
    Selector,
    Break,
    Tab,
    /// Not to be seen.
    Hidden,
}

fn class(c: char) -> Class {
    match c {
        ' '..='~' => return Class::Plain,
        '\n' | '\r' => return Class::Break,
        '\t' => return Class::Tab,
        '\u{fe00}'..='\u{fe0f}' => return Class::Selector,
        // Letters, marks and symbols that draw nothing: grapheme joiner, Hangul fillers, Khmer
        // inherent vowels, Mongolian selectors, blank Braille, object replacement, null notehead,
        // and the selectors that text can be smuggled in.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fffc}'
        | '\u{1d159}'
        | '\u{e0100}'..='\u{e01ef}' => return Class::Hidden,
        _ => {}
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Other => Class::Hidden,
        GeneralCategoryGroup::Separator if !is_space(c) => Class::Hidden,
        // A spacing mark has a place of its own and piles up on nothing.
        GeneralCategoryGroup::Mark if c.general_category() != GeneralCategory::SpacingMark => {
            Class::Mark
        }
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Mark
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Punctuation
        | GeneralCategoryGroup::Symbol
        | GeneralCategoryGroup::Separator => Class::Plain,
    }
}

/// A space that ordinary text has: between words, without a break, narrow before French punctuation,
/// and as wide as an ideograph.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{3000}')
}

/// The characters of a text, and whether each imitates a Latin one: it is Cyrillic, or Greek and
/// looks Latin, in a word that holds Latin letters; or all that the text has of these alphabets
/// looks Latin; or it is a Latin letter or a digit in another shape or width.
///
/// By Unicode block, which is cheap and honest about what it finds: it does not see look-alikes
/// from elsewhere. `μs`, `kΩ` and `Δt` pass.
fn imitations(text: &str) -> impl Iterator<Item = (char, bool)> {
    let foreign = |c: char| is_cyrillic(c) || is_latin_like_greek(c);
    let plain = text.is_ascii();
    let disguised = !plain && is_disguised(text);
    let (mut in_word, mut mixed) = (false, false);
    text.char_indices().map(move |(at, c)| {
        if plain {
            return (c, false);
        }
        if is_shaped_latin(c) || (disguised && foreign(c)) {
            return (c, true);
        }
        let part = is_part(c);
        if part && !in_word {
            let rest = text.get(at..).unwrap_or_default();
            let word = rest.split(|c: char| !is_part(c)).next().unwrap_or_default();
            mixed = word.chars().any(is_latin) && word.chars().any(foreign);
        }
        in_word = part;
        (c, part && mixed && foreign(c))
    })
}

/// Whether a text has a word without Latin letters that has more than two Cyrillic or Greek ones
/// (`α` alone is a sign of mathematics), and in all such words each of these looks Latin.
fn is_disguised(text: &str) -> bool {
    let mut disguised = false;
    for word in text.split(|c| !is_part(c)).filter(|word| !word.contains(is_latin)) {
        let foreign = word.chars().filter(|c| is_cyrillic(*c) || is_greek(*c));
        let (mut count, mut alike) = (0, true);
        for c in foreign {
            count += 1;
            alike &= is_latin_like_cyrillic(c) || is_latin_like_greek(c);
        }
        if !alike {
            return false;
        }
        disguised |= count >= DISGUISE_CHARS_MIN;
    }
    disguised
}

/// A Latin letter or a digit in a shape for mathematics, in a circle, or as wide as an ideograph.
const fn is_shaped_latin(c: char) -> bool {
    matches!(c, '\u{1d400}'..='\u{1d6a5}' | '\u{1d7ce}'..='\u{1d7ff}' | '\u{24b6}'..='\u{24e9}'
        | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}'
        | '\u{1f130}'..='\u{1f189}')
}

const fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}')
}

/// By Unicode's list of confusable characters (UTS #39), those of one letter.
const fn is_latin_like_cyrillic(c: char) -> bool {
    matches!(
        c,
        'а' | 'е'
            | 'о'
            | 'р'
            | 'с'
            | 'у'
            | 'х'
            | 'і'
            | 'ј'
            | 'ѕ'
            | 'һ'
            | 'ԁ'
            | 'ԛ'
            | 'ԝ'
            | 'ӏ'
            | 'к'
            | 'г'
            | 'ѵ'
            | 'А'
            | 'В'
            | 'Е'
            | 'К'
            | 'М'
            | 'Н'
            | 'О'
            | 'Р'
            | 'С'
            | 'Т'
            | 'У'
            | 'Х'
            | 'І'
            | 'Ј'
            | 'Ѕ'
            | 'Ӏ'
            | 'Ԛ'
            | 'Ԝ'
            | 'Һ'
            | 'Ѵ'
            | 'Ү'
    )
}

/// Whether a word goes on with it.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || class(c) == Class::Mark
}

const fn is_latin(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{2af}'
        | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}'
        | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}')
}

const fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}'
        | '\u{a640}'..='\u{a69f}')
}

const fn is_latin_like_greek(c: char) -> bool {
    matches!(
        c,
        'Α' | 'Β'
            | 'Ε'
            | 'Ζ'
            | 'Η'
            | 'Ι'
            | 'Κ'
            | 'Μ'
            | 'Ν'
            | 'Ο'
            | 'Ρ'
            | 'Τ'
            | 'Υ'
            | 'Χ'
            | 'α'
            | 'γ'
            | 'ι'
            | 'κ'
            | 'ν'
            | 'ο'
            | 'ρ'
            | 'τ'
            | 'υ'
            | 'χ'
            | 'ω'
            | 'ϲ'
            | 'ϳ'
            | 'Ϲ'
            | 'Ϳ'
            | '\u{1f00}'..='\u{1fff}'
    )
}

#[cfg(test)]
mod tests;
