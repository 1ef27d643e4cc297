//! One entry of the log, as people and programs see it.

use serde_json::Value;
use vouchsafe_proto::v1::AuditEntry;

use crate::output::Column;
use crate::record::{Field, Record};

pub(crate) const COLUMNS: [Column; 8] = [
    ("SEQ", "seq"),
    ("TIME", "time"),
    ("ACTOR", "actor"),
    ("ACTION", "action"),
    ("OUTCOME", "outcome"),
    ("RESOURCES", "resources"),
    ("APPROVAL", "approval"),
    ("LEASE", "lease"),
];

/// For programs the contract's fields, and the line once more as `entry`; for people what a
/// table shows.
pub(crate) fn record(entry: &AuditEntry, is_json: bool) -> Record {
    let line: Value = serde_json::from_str(&entry.line).unwrap_or(Value::Null);
    if is_json {
        return Record::new()
            .number("seq", entry.seq)
            .text("line", &entry.line)
            .text("leaf_hash", &entry.leaf_hash)
            .with("entry", Field::Json(line));
    }
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Record::new()
        .number("seq", entry.seq)
        .text("time", text("time"))
        .text("actor", line.pointer("/actor/name").and_then(Value::as_str).unwrap_or_default())
        .text("action", text("action"))
        .text("outcome", text("outcome"))
        .texts("resources", resources(&line))
        .text("approval", text("approval"))
        .text("lease", text("lease"))
}

/// One line for a log that scrolls by.
pub(super) fn line(entry: &AuditEntry) -> String {
    let record = record(entry, false);
    let now = crate::time::now();
    let cells: Vec<String> = COLUMNS.iter().map(|(_, field)| record.cell(field, now)).collect();
    cells.join("  ")
}

fn resources(line: &Value) -> Vec<String> {
    let resources = line.get("resources").and_then(Value::as_array).into_iter().flatten();
    resources.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            seq: 7,
            line: r#"{"action":"secret.read","actor":{"name":"claude"},"outcome":"ok","resources":["vouchsafe://secrets/a","vouchsafe://secrets/b"],"time":"2026-11-21T10:44:00.123Z"}"#.to_owned(),
            leaf_hash: "ab".to_owned(),
        }
    }

    #[test]
    fn people_see_who_did_what_to_what() {
        assert_eq!(
            line(&entry()),
            "7  2026-11-21T10:44:00.123Z  claude  secret.read  ok  \
             vouchsafe://secrets/a, vouchsafe://secrets/b  -  -"
        );
    }

    #[test]
    fn programs_get_the_hashed_line_as_it_is() {
        let json = serde_json::to_value(record(&entry(), true)).unwrap();
        assert_eq!(json.get("line").unwrap().as_str(), Some(entry().line.as_str()));
        assert_eq!(json.pointer("/entry/actor/name").unwrap(), "claude");
    }

    #[test]
    fn a_line_that_is_no_json_does_no_harm() {
        let entry = AuditEntry { line: "\u{1b}[2J".to_owned(), ..entry() };
        assert_eq!(line(&entry), "7  -  -  -  -  -  -  -");
    }
}
