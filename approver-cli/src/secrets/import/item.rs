//! What is in a file: secrets, and what is wrong with it.

use std::collections::HashMap;
use std::fmt;

use vouchsafe_core::resource::SecretPath;
use vouchsafe_core::secret::VALUE_BYTES_MAX;
use zeroize::Zeroizing;

use crate::text::{safe_line, shortened};

/// Secrets in one file, as the daemon has it.
pub(super) const ITEMS_MAX: usize = 1_000;
/// Bytes of all values together, and of the file: 8 MiB.
pub(super) const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Parts of a path.
const SEGMENTS_MAX: usize = 8;
/// Characters of a path in a message.
const PATH_CHARS_MAX: usize = 100;

/// One secret of a file.
pub(super) struct Item {
    /// Where it goes, the prefix with it.
    pub(super) path: String,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    pub(super) value: Zeroizing<String>,
    pub(super) remarks: Vec<Remark>,
}

/// What tools disagree on, and how it is read here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remark {
    /// A `$` that others put a variable in for.
    Dollar,
    /// A `#` that others take for a comment.
    Hash,
}

/// Something that is wrong with a file. It repeats no value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Problem {
    /// From 1; 0: of the whole file.
    pub(super) line: usize,
    pub(super) what: String,
}

/// A file as far as it was read.
pub(super) struct Parsed {
    prefix: Vec<String>,
    items: Vec<Item>,
    /// How many there are, those with it that are not kept any more.
    count: usize,
    bytes: usize,
    problems: Vec<Problem>,
}

impl Item {
    /// What the person who imports it has to know.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.remarks
            .iter()
            .map(|remark| format!("note: line {}: {}: {remark}", self.line, self.path))
    }
}

// The value is nobody's to print.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("path", &self.path)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dollar => "the `$` in it is kept as it is; nothing is put in for it",
            Self::Hash => "the `#` in it is part of the value; a comment has a blank before it",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl Parsed {
    /// Nothing yet; all that comes goes below the prefix.
    pub(super) fn new(prefix: Option<&str>) -> Self {
        let prefix = prefix.map(|prefix| prefix.split('/').map(str::to_owned).collect());
        Self {
            prefix: prefix.unwrap_or_default(),
            items: Vec::new(),
            count: 0,
            bytes: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, line: usize, what: impl Into<String>) {
        self.problems.push(Problem { line, what: what.into() });
    }

    /// Whether a path may go on below these names.
    pub(super) fn may_descend(&self, names: &[String]) -> bool {
        self.prefix.len().saturating_add(names.len()) < SEGMENTS_MAX
    }

    /// Adds the secret of these names, unless something is wrong with it.
    pub(super) fn add(
        &mut self,
        line: usize,
        names: &[String],
        value: Zeroizing<String>,
        remarks: Vec<Remark>,
    ) {
        if !self.is_path(line, names) {
            return;
        }
        match value.len() {
            0 => return self.problem(line, format!("{} has an empty value", path(names))),
            1..=VALUE_BYTES_MAX => {}
            _ => return self.problem(line, format!("{} is longer than 64 KiB", path(names))),
        }
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(value.len());
        // No more is kept than can be sent: a few bytes of YAML may stand for many.
        if self.count <= ITEMS_MAX && self.bytes <= FILE_BYTES_MAX {
            let path = self.prefix.iter().chain(names).map(String::as_str);
            let path = path.collect::<Vec<_>>().join("/");
            self.items.push(Item { path, line, value, remarks });
        }
    }

    /// The secrets, if nothing at all is wrong.
    pub(super) fn finish(mut self) -> Result<Vec<Item>, Vec<Problem>> {
        if self.count > ITEMS_MAX {
            let what = format!("it holds {} secrets; {ITEMS_MAX} is the most", self.count);
            self.problem(0, what);
        }
        if self.bytes > FILE_BYTES_MAX {
            self.problem(0, "its values are longer than 8 MiB together");
        }
        if self.count == 0 && self.problems.is_empty() {
            self.problem(0, "there is no secret in it");
        }
        if self.problems.is_empty() { Ok(self.items) } else { Err(self.problems) }
    }

    fn is_path(&mut self, line: usize, names: &[String]) -> bool {
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            let what = format!("`{}` is no part of a path: {NAME_RULE}", shown(name));
            self.problem(line, what);
            return false;
        }
        if self.prefix.len().saturating_add(names.len()) > SEGMENTS_MAX {
            self.problem(line, format!("{} has more than {SEGMENTS_MAX} parts", path(names)));
            return false;
        }
        true
    }
}

/// What a name may be, in words.
pub(super) const NAME_RULE: &str =
    "1 to 64 letters A-Z and a-z, digits and _ . -, neither `.` nor `..`";

/// Whether it can be a part of a path.
pub(super) fn is_name(name: &str) -> bool {
    !name.contains('/') && name.parse::<SecretPath>().is_ok()
}

/// Names as a path for a message.
pub(super) fn path(names: &[String]) -> String {
    shown(&names.join("/"))
}

/// A name of the file, safe to show.
pub(super) fn shown(name: &str) -> String {
    shortened(&safe_line(name), PATH_CHARS_MAX)
}

/// The names of one object, each with the line of its first.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// The line on which the name is already, if it is.
    pub(super) fn seen(&mut self, name: &str, line: usize) -> Option<usize> {
        if let Some(first) = self.0.get(name) {
            return Some(*first);
        }
        self.0.insert(name.to_owned(), line);
        None
    }
}
