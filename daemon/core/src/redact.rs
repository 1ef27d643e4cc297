//! Finds secret values in text that leaves, in whatever form they took, and masks them.
//!
//! A [`Redactor`] knows values and not what they are for. It finds each as it is, in hex, in base64
//! and base64url wherever in a longer encoding it begins, percent-encoded, and escaped as JSON
//! does, up to [`LAYERS_MAX`] such layers on top of each other; and as
//! [`text::escape_untrusted`] shows it.
//!
//! It is a search of our own because of what the others keep: an automaton is made of copies of
//! all that it looks for. This one reads each value once and keeps 32 bytes of it: its first bytes,
//! its length and two fingerprints, in memory that is wiped. Forms are not looked for one by one
//! either: the text is decoded, and what was decoded is searched for all values at once. So the
//! cost grows with the text and hardly with the values, and no text makes it grow faster.
//!
//! What it does not do: values under [`VALUE_BYTES_MIN`] bytes are left (they would mask what is
//! no secret, and whoever guesses finds them anyway), white space around a value is not part of
//! it, and a value that is an ordinary word is masked wherever that word is. Parts of values,
//! compressed and encrypted ones are not found.

mod table;
#[cfg(test)]
mod tests;
mod view;

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use self::table::{Rows, Table};
use self::view::{Spans, View};
use crate::secret::{REDACTED, SecretBytes};
use crate::text;

/// The shortest value that is masked, in bytes, without the white space around it.
pub const VALUE_BYTES_MIN: usize = 6;
/// How many layers of escapes are taken off a text, of JSON and of percent signs in any order.
pub const LAYERS_MAX: u32 = 3;

/// Base64 digits that hold [`VALUE_BYTES_MIN`] bytes.
const BASE64_DIGITS_MIN: usize = VALUE_BYTES_MIN * 4 / 3;
/// Hex digits that hold [`VALUE_BYTES_MIN`] bytes.
const HEX_DIGITS_MIN: usize = VALUE_BYTES_MIN * 2;

/// Masks the values it was made of.
pub struct Redactor {
    /// Values as they are.
    exact: Table,
    /// The same, where `+` may be a blank.
    form: Table,
}

/// A [`Redactor`] that is still shown values.
pub struct Builder {
    exact: Rows,
    form: Rows,
}

impl Redactor {
    /// A redactor of values that are yet to come, about so many.
    pub fn builder(values: usize) -> Builder {
        // A value is up to two: as it is, and as people are shown it.
        let rows = values.saturating_mul(2);
        Builder { exact: Rows::new(rows), form: Rows::new(rows) }
    }

    /// A redactor of these values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a SecretBytes>) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        let mut builder = Self::builder(values.len());
        for value in values {
            builder.add(value);
        }
        builder.build()
    }

    /// The text with a mask in place of each value; as it came where there is none in it.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.search(text).spans.merged();
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut kept = 0;
        for (start, end) in spans {
            // Bytes that are no text can begin or end inside a character.
            let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
            masked.push_str(text.get(kept..start).unwrap_or_default());
            masked.push_str(REDACTED);
            kept = end;
        }
        masked.push_str(text.get(kept..).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Masks every string in it, the names of members and the digits of numbers included; whether
    /// there was anything to mask.
    pub fn redact_json(&self, value: &mut Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => match self.redact(&number.to_string()) {
                Cow::Borrowed(_) => false,
                Cow::Owned(masked) => {
                    *value = Value::String(masked);
                    true
                }
            },
            Value::String(text) => match self.redact(text) {
                Cow::Borrowed(_) => false,
                Cow::Owned(masked) => {
                    *text = masked;
                    true
                }
            },
            Value::Array(items) => {
                items.iter_mut().fold(false, |masked, item| self.redact_json(item) | masked)
            }
            Value::Object(members) => self.redact_members(members),
        }
    }

    fn redact_members(&self, members: &mut Map<String, Value>) -> bool {
        let mut masked = false;
        for value in members.values_mut() {
            masked |= self.redact_json(value);
        }
        if members.keys().all(|name| matches!(self.redact(name), Cow::Borrowed(_))) {
            return masked;
        }
        for (name, value) in std::mem::take(members) {
            let mut name = self.redact(&name).into_owned();
            // Members whose names are masked alike all stay.
            let mut nth = members.len();
            while members.contains_key(&name) {
                nth += 1;
                name = format!("{REDACTED} {nth}");
            }
            members.insert(name, value);
        }
        true
    }

    fn search(&self, text: &str) -> Search<'_> {
        let mut search = Search { redactor: self, spans: Spans::default(), steps: 0 };
        if text.len() >= VALUE_BYTES_MIN && !self.exact.is_empty() {
            search.look(&View::of(text.as_bytes()), LAYERS_MAX);
        }
        search
    }
}

impl Builder {
    /// One more value. Nothing of it is kept but what [`Redactor`] says.
    pub fn add(&mut self, value: &SecretBytes) {
        // To find it in what leaves.
        let value = value.expose().trim_ascii();
        self.learn(value);
        let plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if let Some(text) = std::str::from_utf8(value).ok().filter(|_| !plain) {
            // As wide as it can become, so that no copy is left behind when it grows.
            let room = text.chars().count().saturating_mul(text::ESCAPED_BYTES_MAX);
            let mut shown = Zeroizing::new(String::with_capacity(room));
            text::escape_into(&mut shown, text);
            self.learn(shown.as_bytes());
        }
    }

    /// The redactor of what was added.
    pub fn build(self) -> Redactor {
        Redactor { exact: Table::new(self.exact, false), form: Table::new(self.form, true) }
    }

    fn learn(&mut self, value: &[u8]) {
        self.exact.learn(view::joined_breaks(value));
        self.form.learn(view::joined_breaks(value).map(table::plus_as_blank));
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Builder(..)")
    }
}

/// One search: what was found, and what it cost.
struct Search<'r> {
    redactor: &'r Redactor,
    spans: Spans,
    /// Bytes looked at, and candidates compared.
    steps: u64,
}

impl Search<'_> {
    /// Searches a reading of the text, what it encodes, and what it is without its escapes.
    fn look(&mut self, view: &View, layers: u32) {
        let (exact, form) = (&self.redactor.exact, &self.redactor.form);
        let spans = &mut self.spans;
        exact.find(view.bytes(), &mut self.steps, |at| spans.push(view.span(at)));
        if view.bytes().contains(&b'+') {
            form.find(view.bytes(), &mut self.steps, |at| spans.push(view.span(at)));
        }
        self.look_into_base64(view);
        self.look_into_hex(view);
        let Some(layers) = layers.checked_sub(1) else { return };
        for inner in [view.unescaped(), view.percent_decoded()].into_iter().flatten() {
            self.look(&inner, layers);
        }
    }

    fn look_into_base64(&mut self, view: &View) {
        let (exact, spans, steps) = (&self.redactor.exact, &mut self.spans, &mut self.steps);
        view.runs(view::base64_digit, BASE64_DIGITS_MIN, |run| {
            // It begins at any of four digits: what is before it may belong to the run.
            for phase in 0..4 {
                let digits = run.get(phase..).unwrap_or_default();
                let decoded = view::base64_decoded(digits);
                let mut masked = (0, 0);
                exact.find(decoded.bytes(), steps, |at| {
                    masked = view.word_around(decoded.span(at), masked);
                    spans.push(view.span_between(masked));
                });
            }
        });
    }

    fn look_into_hex(&mut self, view: &View) {
        let (exact, spans, steps) = (&self.redactor.exact, &mut self.spans, &mut self.steps);
        view.runs(view::hex_digit, HEX_DIGITS_MIN, |run| {
            for phase in 0..2 {
                let decoded = view::hex_decoded(run.get(phase..).unwrap_or_default());
                exact.find(decoded.bytes(), steps, |at| {
                    spans.push(view.span_between(decoded.span(at)));
                });
            }
        });
    }
}
