//! JSON: an object, nested to make paths.
//!
//! Numbers are kept as they are written, and a name that is there twice is seen, neither of which
//! `serde_json::Value` does.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::item::{Names, Parsed, path, shown};

/// Reads all of it, unless it is no JSON.
pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let ends = text.match_indices('\n').map(|(at, _)| at).collect();
    Walk { text, ends, parsed }.object(text, &mut Vec::new());
}

struct Walk<'a> {
    text: &'a str,
    /// Where its lines end.
    ends: Vec<usize>,
    parsed: &'a mut Parsed,
}

/// What an object holds, in its order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Walk<'a> {
    /// `raw` is a piece of the text.
    fn object(&mut self, raw: &'a str, names: &mut Vec<String>) {
        let members = match serde_json::from_str::<Members<'a>>(raw) {
            Ok(Members(members)) => members,
            Err(error) if error.is_data() => {
                return self.parsed.problem(0, "it is no JSON object of names and values");
            }
            Err(error) => {
                let line = self.line(raw).saturating_add(error.line()).saturating_sub(1);
                return self.parsed.problem(line, format!("it is no JSON: {}", cause(&error)));
            }
        };
        let mut seen = Names::default();
        for (name, value) in members {
            let line = self.line(value.get());
            if let Some(first) = seen.seen(&name, line) {
                names.push(name.into_owned());
                let what = format!("{} is on line {first} already", path(names));
                self.parsed.problem(line, what);
            } else {
                names.push(name.into_owned());
                self.value(value.get(), line, names);
            }
            names.pop();
        }
    }

    fn value(&mut self, raw: &'a str, line: usize, names: &mut Vec<String>) {
        let refused = |what: &str| format!("{} is {what}", path(names));
        match raw.as_bytes().first() {
            Some(b'{') if self.parsed.may_descend(names) => self.object(raw, names),
            Some(b'{') => self.parsed.problem(line, refused("nested too deep: a path has 8 parts")),
            Some(b'[') => self.parsed.problem(line, refused("a list; a secret is one value")),
            Some(b'n') => self.parsed.problem(line, refused("null; a secret has a value")),
            Some(b'"') => match serde_json::from_str::<String>(raw).map(Zeroizing::new) {
                Ok(text) => self.parsed.add(line, names, text, Vec::new()),
                Err(_) => self.parsed.problem(line, refused("no text that can be read")),
            },
            _ => self.parsed.add(line, names, Zeroizing::new(raw.to_owned()), Vec::new()),
        }
    }

    /// On which line a piece of the text begins.
    fn line(&self, piece: &str) -> usize {
        let at = piece.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.ends.partition_point(|end| *end < at).saturating_add(1)
    }
}

/// What is wrong with the syntax: one of a few fixed texts, without the place.
fn cause(error: &serde_json::Error) -> String {
    let told = error.to_string();
    shown(told.split(" at line ").next().unwrap_or_default())
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
