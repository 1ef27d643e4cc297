//! `requester`: names of keys.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::super::source::{Wrong, echo, wrong};
use super::Meaning;

const MEND: &str = "write a key's name, or a part of one with * for the rest: ci-*";
/// The longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 20;

/// Keys by their names, written with commas between.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Requester {
    names: GlobSet,
}

impl Requester {
    /// Whether it is one of these keys that asks.
    pub(super) fn judge(&self, key: &str) -> (bool, String) {
        (self.names.is_match(key), format!("key `{key}`"))
    }
}

impl Meaning for Requester {
    fn read(text: &str) -> Result<Self, Wrong> {
        let mut names = GlobSetBuilder::new();
        for name in text.split(", ") {
            names.add(glob(name)?);
        }
        let names = names.build().map_err(|error| wrong(error.to_string(), MEND))?;
        Ok(Self { names })
    }
}

/// Reads a name with wildcards. A comma, or a bracket, is none.
fn glob(name: &str) -> Result<Glob, Wrong> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*' | b'?');
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed);
    let glob = if fits { Glob::new(name).ok() } else { None };
    glob.ok_or_else(|| wrong(format!("`{}` is no name of a key", echo(name)), MEND))
}
