//! Reading a TOML file so that everything wrong with it is found, each with its line.

use std::fmt;
use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::parse::FILE_BYTES_MAX;
use crate::text;

/// How much of a value that is wrong is repeated, in characters.
const ECHO_CHARS_MAX: usize = 120;

/// A file as it was read: where from, and what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyFile {
    /// The name below the policy folder, for messages.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Something wrong with a file, and what to do about it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// The file's name; empty where no one file is to blame.
    pub file: String,
    /// The line, from 1; 0 where no one line is to blame.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead, or to do.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{}; {}", self.message, self.mend),
            (file, 0) => write!(f, "{file}: {}; {}", self.message, self.mend),
            (file, line) => write!(f, "{file}:{line}: {}; {}", self.message, self.mend),
        }
    }
}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) message: String,
    mend: String,
}

/// It was wrong, and is among the problems already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// A value that may be left out; `Err` where it was given and wrong.
pub(super) type Given<T> = Result<Option<T>, Reported>;

/// A file's name, where its lines begin, and what was found wrong with it so far.
#[derive(Debug)]
pub(super) struct Source<'f> {
    pub(super) file: &'f str,
    starts: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

/// One table of a file, read key by key.
#[derive(Debug)]
pub(super) struct Fields<'t, 's, 'f> {
    source: &'s mut Source<'f>,
    table: &'t DeTable<'t>,
    /// The line of its header.
    pub(super) line: u32,
    /// What precedes its keys in messages: nothing, or the table's own key, such as `lease.`.
    prefix: &'static str,
}

pub(super) fn wrong(message: impl Into<String>, mend: impl Into<String>) -> Wrong {
    Wrong { message: message.into(), mend: mend.into() }
}

impl<'f> Source<'f> {
    pub(super) fn new(file: &'f PolicyFile) -> Self {
        let breaks = file.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { file: &file.name, starts, problems: Vec::new() }
    }

    /// The tables under `[[key]]`, which is all that the file may hold; nothing where it is no TOML.
    pub(super) fn tables<'t>(
        &mut self,
        root: &'t DeTable<'t>,
        key: &str,
    ) -> Vec<&'t Spanned<DeValue<'t>>> {
        let mut tables = Vec::new();
        let mend = format!("a file holds [[{key}]] tables and nothing else");
        for (name, value) in root {
            if name.get_ref() != key {
                let message = format!("`{}` is not expected here", echo(name.get_ref()));
                self.report(&name.span(), wrong(message, &mend));
                continue;
            }
            let Some(array) = value.get_ref().as_array() else {
                self.report(
                    &value.span(),
                    wrong(format!("`{key}` is not a list of tables"), &mend),
                );
                continue;
            };
            tables.extend(array.iter());
        }
        tables
    }

    /// Reports a file over the limit.
    pub(super) fn refuse_large(&mut self, text: &str) -> bool {
        let large = text.len() > FILE_BYTES_MAX;
        if large {
            self.report_line(0, wrong("the file is over 256 KiB", "split it"));
        }
        large
    }

    /// Reports a file that holds too many tables.
    pub(super) fn refuse_many(&mut self, tables: usize, most: usize) {
        let message = format!("{tables} tables in one file are too many");
        self.report_line(0, wrong(message, format!("write {most} at most")));
    }

    /// Parses the file; nothing where that fails, which is then among the problems.
    pub(super) fn parse<'t>(&mut self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = format!("this is not TOML: {}", echo(error.message()));
            let mend = "correct the line; https://toml.io describes the format";
            self.report(&error.span().unwrap_or_default(), wrong(message, mend));
        }
        errors.is_empty().then_some(table)
    }

    pub(super) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    pub(super) fn report(&mut self, span: &Range<usize>, wrong: Wrong) -> Reported {
        self.report_line(self.line(span.start), wrong)
    }

    fn report_line(&mut self, line: u32, wrong: Wrong) -> Reported {
        let Wrong { message, mend } = wrong;
        self.problems.push(Problem { file: self.file.to_owned(), line, message, mend });
        Reported
    }
}

impl<'t, 's, 'f> Fields<'t, 's, 'f> {
    /// The fields of a table; nothing where the value is none, which is then among the problems.
    pub(super) fn new(
        source: &'s mut Source<'f>,
        value: &'t Spanned<DeValue<'t>>,
        key: &str,
    ) -> Option<Self> {
        let line = source.line(value.span().start);
        let Some(table) = value.get_ref().as_table() else {
            let mend = format!("write it as a table: [[{key}]]");
            source.report_line(line, wrong(format!("this {key} is not a table"), mend));
            return None;
        };
        Some(Self { source, table, line, prefix: "" })
    }

    pub(super) const fn file(&self) -> &'f str {
        self.source.file
    }

    /// Reports what is wrong with the table as a whole.
    pub(super) fn report(&mut self, wrong: Wrong) -> Reported {
        self.source.report_line(self.line, wrong)
    }

    /// Reports what is wrong with the key or its value.
    pub(super) fn report_at(&mut self, key: &str, wrong: Wrong) -> Reported {
        match self.value(key) {
            Some(value) => self.source.report(&value.span(), wrong),
            None => self.report(wrong),
        }
    }

    /// Reports what is wrong with the key.
    pub(super) fn report_key(&mut self, key: &str, wrong: Wrong) -> Reported {
        match self.table.get_key_value(key) {
            Some((key, _)) => self.source.report(&key.span(), wrong),
            None => self.report(wrong),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Reports each key that is not among the known ones.
    pub(super) fn refuse_others(&mut self, known: impl Fn(&str) -> Result<(), Wrong>) {
        for (key, _) in self.table {
            if let Err(wrong) = known(key.get_ref()) {
                self.source.report(&key.span(), wrong);
            }
        }
    }

    /// Reads the key's value, where it has one.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Value<'t, '_>) -> Result<T, Wrong>,
    ) -> Given<T> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let name = format!("{}{key}", self.prefix);
        match read(Value { name: &name, value: value.get_ref() }) {
            Ok(read) => Ok(Some(read)),
            Err(wrong) => Err(self.source.report(&value.span(), wrong)),
        }
    }

    /// Reads each element of the key's list, where it has one.
    pub(super) fn read_each<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl Fn(Value<'t, '_>) -> Result<T, Wrong>,
    ) -> Given<Vec<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let name = format!("{}{key}", self.prefix);
        let Some(array) = value.get_ref().as_array() else {
            let whole = Value { name: &name, value: value.get_ref() };
            return Err(self.source.report(&value.span(), whole.not("a list", example)));
        };
        let mut all = Ok(Vec::with_capacity(array.len()));
        for element in array {
            match (read(Value { name: &name, value: element.get_ref() }), &mut all) {
                (Ok(read), Ok(all)) => all.push(read),
                (Ok(_), Err(Reported)) => {}
                (Err(wrong), _) => all = Err(self.source.report(&element.span(), wrong)),
            }
        }
        all.map(Some)
    }

    /// Reads each element of the key's list, or the one value that stands for a list of one.
    pub(super) fn read_one_or_each<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl Fn(Value<'t, '_>) -> Result<T, Wrong>,
    ) -> Given<Vec<T>> {
        match self.value(key) {
            Some(value) if value.get_ref().as_array().is_none() => {
                self.read(key, read).map(|read| read.map(|read| vec![read]))
            }
            Some(_) | None => self.read_each(key, example, read),
        }
    }

    /// The table under the key, where it has one; its keys are called by both names.
    pub(super) fn table(
        &mut self,
        key: &str,
        prefix: &'static str,
        example: &str,
    ) -> Given<Fields<'t, '_, 'f>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let Some(table) = value.get_ref().as_table() else {
            let whole = Value { name: key, value: value.get_ref() };
            return Err(self.source.report(&value.span(), whole.not("a table", example)));
        };
        let line = self.source.line(value.span().start);
        Ok(Some(Fields { source: self.source, table, line, prefix }))
    }

    /// Reads each table of the key's list, where it has one.
    pub(super) fn read_tables<T>(
        &mut self,
        key: &str,
        prefix: &'static str,
        example: &str,
        mut read: impl FnMut(&mut Fields<'t, '_, 'f>) -> Result<T, Reported>,
    ) -> Given<Vec<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let whole = Value { name: key, value: value.get_ref() };
        let Some(array) = value.get_ref().as_array() else {
            return Err(self.source.report(&value.span(), whole.not("a list of tables", example)));
        };
        let mut all = Ok(Vec::with_capacity(array.len()));
        for element in array {
            let Some(table) = element.get_ref().as_table() else {
                let one = Value { name: key, value: element.get_ref() };
                all = Err(self.source.report(&element.span(), one.not("a table", example)));
                continue;
            };
            let line = self.source.line(element.span().start);
            let mut fields = Fields { source: &mut *self.source, table, line, prefix };
            match (read(&mut fields), &mut all) {
                (Ok(read), Ok(all)) => all.push(read),
                (Ok(_), Err(Reported)) => {}
                (Err(reported), _) => all = Err(reported),
            }
        }
        all.map(Some)
    }

    fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }
}

/// A value and the name it goes by in messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'t, 'n> {
    pub(super) name: &'n str,
    value: &'t DeValue<'t>,
}

impl<'t> Value<'t, '_> {
    pub(super) fn text(self, example: &str) -> Result<&'t str, Wrong> {
        self.value.as_str().ok_or_else(|| self.not("a text in quotes", example))
    }

    /// A text, or a date and time as TOML writes them.
    pub(super) fn time(self, example: &str) -> Result<String, Wrong> {
        match self.value {
            DeValue::Datetime(time) => Ok(time.to_string()),
            _ => self.text(example).map(str::to_owned),
        }
    }

    /// The value as JSON has it.
    pub(super) fn json(self) -> Json {
        json(self.value)
    }

    pub(super) fn is_text(self) -> bool {
        self.value.as_str().is_some()
    }

    /// A whole number within the bounds, both included.
    pub(super) fn number(self, least: u32, most: u32) -> Result<u32, Wrong> {
        let example = format!("{} = {least}", self.name);
        let integer =
            self.value.as_integer().ok_or_else(|| self.not("a whole number", &example))?;
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX);
        u32::try_from(number).ok().filter(|number| (least..=most).contains(number)).ok_or_else(
            || {
                wrong(
                    format!("`{}` is {integer}", self.name),
                    format!("write a number from {least} to {most}"),
                )
            },
        )
    }

    fn not(self, wanted: &str, example: &str) -> Wrong {
        let found = self.value.type_str();
        wrong(
            format!("`{}` must be {wanted}, and this is of type {found}", self.name),
            format!("write {example}"),
        )
    }
}

/// A TOML value as JSON has it: a time becomes text, and a number that is too large for it null.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().into()
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().into(),
        DeValue::Boolean(truth) => Json::from(*truth),
        DeValue::Datetime(time) => Json::from(time.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            let members = table.iter();
            members.map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}

/// A value that is `true` or `false`.
pub(super) fn truth(value: Value<'_, '_>) -> Result<bool, Wrong> {
    let example = format!("{} = true", value.name);
    value.value.as_bool().ok_or_else(|| value.not("true or false", &example))
}

pub(super) fn echo(text: &str) -> String {
    text::echo(text, ECHO_CHARS_MAX)
}
