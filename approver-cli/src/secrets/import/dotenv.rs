//! Dotenv files, as they are found.
//!
//! There is no standard. What the tools agree on is read as they do; where they disagree, a remark
//! says how it was read. Nothing of the environment is read or set, and no variable is put in.
//! The crates for this put variables in, and give pairs without their lines, so that neither a bad
//! line nor a duplicate could be named: hence a parser of our own.
//! A message never repeats what stands in the file, except a name that is there twice: what stands
//! before a `=` may be a piece of a value.

use zeroize::Zeroizing;

use super::item::{NAME_RULE, Names, Parsed, Remark, is_name, shown};

const BLANKS: [char; 2] = [' ', '\t'];
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Reads all of it, whatever is wrong.
pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let mut reader = Reader { rest: text, line: 1, names: Names::default(), parsed };
    while !reader.rest.is_empty() {
        reader.line();
    }
}

struct Reader<'a> {
    /// What is not read yet; its first line is `line`.
    rest: &'a str,
    line: usize,
    names: Names,
    parsed: &'a mut Parsed,
}

/// Values in quotes.
struct Quoted<'a> {
    /// What stands between them.
    raw: &'a str,
    /// Behind the closing one.
    rest: &'a str,
}

impl Reader<'_> {
    fn line(&mut self) {
        let line = first_line(self.rest);
        let stripped = line.trim_start_matches(BLANKS);
        if stripped.trim_end_matches(BLANKS).is_empty() || stripped.starts_with('#') {
            return self.skip_line();
        }
        let assignment = match stripped.strip_prefix("export") {
            Some(rest) if rest.starts_with(BLANKS) => rest,
            _ => stripped,
        };
        let Some((name, value)) = assignment.split_once('=') else {
            let what = "there is no `=` in it; a line is NAME=VALUE, and a value over several lines stands in quotes";
            self.parsed.problem(self.line, what);
            return self.skip_line();
        };
        let name = name.trim_matches(BLANKS);
        let named = is_name(name);
        if !named {
            self.parsed
                .problem(self.line, format!("what stands before `=` is no name: {NAME_RULE}"));
        }
        let line = self.line;
        let quote = value.trim_start_matches(BLANKS).chars().next();
        let read = if let Some(quote) = quote.filter(|quote| QUOTES.contains(quote)) {
            self.quoted(quote)
        } else {
            self.skip_line();
            Some(unquoted(value))
        };
        if let Some((value, remarks)) = read.filter(|_| named) {
            self.add(line, name, value, remarks);
        }
    }

    /// Adds a secret, if its name is new and it has a value.
    fn add(&mut self, line: usize, name: &str, value: Zeroizing<String>, remarks: Vec<Remark>) {
        if let Some(first) = self.names.seen(name, line) {
            let what = format!("{} is on line {first} already", shown(name));
            return self.parsed.problem(line, what);
        }
        if value.is_empty() {
            return self.parsed.problem(line, "there is no value; a secret has one byte at least");
        }
        self.parsed.add(line, &[name.to_owned()], value, remarks);
    }

    /// The value in these quotes on this line and those after it; nothing where they never close.
    fn quoted(&mut self, quote: char) -> Option<(Zeroizing<String>, Vec<Remark>)> {
        let opened = self.line;
        let (_, from) = self.rest.split_once('=')?;
        let (_, from) = from.split_once(quote)?;
        let Some(Quoted { raw, rest }) = find_close(from, quote) else {
            let left = from.lines().count().saturating_sub(1);
            let unread = if left == 0 { "" } else { ", and nothing after it was read" };
            self.parsed.problem(opened, format!("the quote that opens here never closes{unread}"));
            self.rest = "";
            return None;
        };
        self.line = opened.saturating_add(raw.matches('\n').count());
        self.rest = rest;
        let behind = first_line(rest);
        let text = behind.trim_start_matches(BLANKS);
        let is_comment = behind.starts_with(BLANKS) && text.starts_with('#');
        if !text.is_empty() && !is_comment {
            let closed = match self.line {
                line if line == opened => "the closing quote".to_owned(),
                _ => format!("the quote that closes the value of line {opened}"),
            };
            self.parsed.problem(self.line, format!("text follows {closed}"));
            self.skip_line();
            return None;
        }
        self.skip_line();
        // The ends of lines are the file's, not the value's: written out, they are kept.
        let raw = with_line_feeds(raw);
        if quote != '"' {
            return Some((raw, Vec::new()));
        }
        let remarks = if has_variable(&raw, true) { vec![Remark::Dollar] } else { Vec::new() };
        Some((unescaped(&raw), remarks))
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        self.line = self.line.saturating_add(1);
    }
}

/// Without its end, which is LF or CRLF.
fn first_line(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

/// The value after a `=` up to a comment, blanks around it left out.
fn unquoted(text: &str) -> (Zeroizing<String>, Vec<Remark>) {
    let mut before = None;
    let comment = text.char_indices().find(|(_, c)| {
        let starts = *c == '#' && before.is_some_and(|c| BLANKS.contains(&c));
        before = Some(*c);
        starts
    });
    let end = comment.map_or(text.len(), |(at, _)| at);
    let value = text.get(..end).unwrap_or_default().trim_matches(BLANKS);
    let mut remarks = Vec::new();
    if has_variable(value, false) {
        remarks.push(Remark::Dollar);
    }
    if value.contains('#') {
        remarks.push(Remark::Hash);
    }
    (Zeroizing::new(value.to_owned()), remarks)
}

/// What comes before the closing quote and behind it. In double quotes a backslash hides one.
fn find_close(text: &str, quote: char) -> Option<Quoted<'_>> {
    let mut hidden = false;
    for (at, c) in text.char_indices() {
        if c == quote && !hidden {
            let raw = text.get(..at)?;
            return Some(Quoted { raw, rest: text.get(at.saturating_add(c.len_utf8())..)? });
        }
        hidden = quote == '"' && c == '\\' && !hidden;
    }
    None
}

/// With LF where there was CRLF.
fn with_line_feeds(raw: &str) -> Zeroizing<String> {
    // As much room as it can need: growing would leave copies behind.
    let mut value = Zeroizing::new(String::with_capacity(raw.len()));
    for (n, line) in raw.split("\r\n").enumerate() {
        if n > 0 {
            value.push('\n');
        }
        value.push_str(line);
    }
    value
}

/// Double quotes know a few escapes; what they do not know stays as it is.
fn unescaped(raw: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(raw.len()));
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('t') => value.push('\t'),
            Some(known @ ('"' | '\\' | '$')) => value.push(known),
            Some(other) => value.extend(['\\', other]),
            None => value.push('\\'),
        }
    }
    value
}

/// Whether a shell would put something in.
fn has_variable(text: &str, escapes: bool) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == '$'
            && chars.peek().is_some_and(|c| c.is_ascii_alphabetic() || "_{(".contains(*c))
        {
            return true;
        }
    }
    false
}
