//! All that this program prints. Nothing else writes to standard output or standard error,
//! but the bridge, whose standard output is MCP.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::error::CliError;
use crate::record::Record;
use crate::text::{safe_line, safe_lines};
use crate::time;

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned text, times told from now
    #[default]
    Table,
    /// For programs: one JSON value, RFC 3339 times
    Json,
}

/// A column of a table: its title, and the field of the record it shows.
pub(crate) type Column = (&'static str, &'static str);

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// A list: a table with these columns, or a JSON array.
    pub(crate) fn list(
        self,
        columns: &[Column],
        records: &[Record],
        empty: &str,
    ) -> Result<(), CliError> {
        if self.is_json() {
            return print_json(&records);
        }
        if records.is_empty() {
            return print(&format!("{empty}\n"));
        }
        print(&table(columns, records))
    }

    /// A list of which this is a part, if `more`.
    pub(crate) fn page(
        self,
        columns: &[Column],
        page: &crate::pages::Page<Record>,
        empty: &str,
    ) -> Result<(), CliError> {
        self.list(columns, &page.items, empty)?;
        if page.more {
            note(&format!(
                "these are the first {}: there are more; --limit 0 shows all",
                page.items.len()
            ));
        }
        Ok(())
    }

    /// One thing: a line for each field, or a JSON object.
    pub(crate) fn record(self, record: &Record) -> Result<(), CliError> {
        if self.is_json() {
            return print_json(record);
        }
        let lines = record.lines(time::now());
        print(&format!("{}\n", lines.join("\n")))
    }

    /// Text for people. Where the answer is JSON it goes to standard error, word for word.
    pub(crate) fn say(self, text: &str) -> Result<(), CliError> {
        if self.is_json() {
            note(text);
            return Ok(());
        }
        print(&format!("{}\n", safe_lines(text)))
    }

    /// One record of an endless list: a line of JSON, or `text`.
    pub(crate) fn event(self, record: &Record, text: &str) -> Result<(), CliError> {
        if self.is_json() {
            return print(&format!("{}\n", as_json(record, serde_json::to_string)?));
        }
        print(&format!("{}\n", safe_line(text)))
    }
}

/// Bytes exactly as they are, on standard output.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| CliError::io("writing the answer", &error))
}

/// A remark on standard error.
pub(crate) fn note(text: &str) {
    stderr(&format!("{}\n", safe_lines(text)));
}

/// A question on standard error, the cursor left behind it.
pub(crate) fn ask(question: &str) {
    stderr(&safe_lines(question));
}

/// Puts a line on standard error in place of the one that `status` put there before; empty: none.
/// For a terminal.
pub(crate) fn status(text: &str) {
    stderr(&format!("\r{}\u{1b}[K", safe_line(text)));
}

/// What went wrong, and what to do next.
pub(crate) fn error(error: &CliError) {
    if error.message.is_empty() {
        return;
    }
    note(&format!("error: {}", error.message));
    if let Some(next) = &error.next {
        note(&format!(" next: {next}"));
    }
}

/// Whether a person reads standard error.
pub(crate) fn is_error_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person reads standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn print(text: &str) -> Result<(), CliError> {
    raw(text.as_bytes())
}

/// A JSON value on lines of its own.
fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    print(&format!("{}\n", as_json(value, serde_json::to_string_pretty)?))
}

fn stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let written = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    // Nobody is left to be told.
    drop(written);
}

fn table(columns: &[Column], records: &[Record]) -> String {
    let now = time::now();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let arrangement =
        if is_terminal() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.set_content_arrangement(arrangement);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for record in records {
        table.add_row(columns.iter().map(|(_, field)| record.cell(field, now)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

fn as_json<T: Serialize>(
    value: &T,
    write: impl Fn(&T) -> serde_json::Result<String>,
) -> Result<String, CliError> {
    write(value).map_err(|error| CliError::failed(format!("writing JSON failed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_plain_aligned_text() {
        let rows = [
            Record::new().text("name", "claude-desktop").flag("enabled", true),
            Record::new().text("name", "ci\u{1b}[31m").flag("enabled", false),
        ];
        assert_eq!(
            table(&[("NAME", "name"), ("ENABLED", "enabled")], &rows),
            "NAME            ENABLED\nclaude-desktop  yes\nci\\u{1b}[31m    no\n"
        );
    }
}
