//! Adds one entry to a program's JSON settings and leaves every other byte of content alone.
//!
//! Members are kept as the raw text they were, in their order: numbers, escapes and layout of
//! other people's settings are none of our business.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Why settings cannot be added to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SettingsFault {
    #[error("it is not valid JSON (line {line}, column {column})")]
    Syntax { line: usize, column: usize },
    #[error("its `{0}` is not an object, or is there twice")]
    Section(String),
    #[error("it could not be written as JSON")]
    Unwritable,
}

/// `old` with `section.name` set to `entry`; the text of a new file where there is no `old`.
pub(super) fn merged(
    old: Option<&str>,
    section: &str,
    name: &str,
    entry: &impl Serialize,
) -> Result<String, SettingsFault> {
    let old = old.filter(|text| !text.trim().is_empty()).unwrap_or("{}");
    let mut top: Members = serde_json::from_str(old).map_err(|error| syntax(&error))?;
    let mut servers: Members = match top.get(section)? {
        Some(text) => {
            serde_json::from_str(text).map_err(|_| SettingsFault::Section(section.to_owned()))?
        }
        None => Members::default(),
    };
    if let Some(known) = servers.get(name)?
        && serde_json::from_str::<Value>(known).ok() == serde_json::to_value(entry).ok()
    {
        return Ok(old.to_owned());
    }
    servers.set(name, indented(entry, 4)?);
    top.set(section, servers.text(2)?);
    Ok(format!("{}\n", top.text(0)?))
}

/// The members of an object, in order, each value as its raw text.
#[derive(Default)]
struct Members(Vec<(String, String)>);

impl Members {
    /// An error where the member is there twice: no one knows which one counts.
    fn get(&self, name: &str) -> Result<Option<&str>, SettingsFault> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(SettingsFault::Section(name.to_owned())),
            (first, _) => Ok(first.map(|(_, text)| text.as_str())),
        }
    }

    /// In its old place, or at the end.
    fn set(&mut self, name: &str, text: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = text,
            None => self.0.push((name.to_owned(), text)),
        }
    }

    /// `indent`: spaces before the closing brace.
    fn text(&self, indent: usize) -> Result<String, SettingsFault> {
        let mut members = Vec::with_capacity(self.0.len());
        for (name, text) in &self.0 {
            let name = serde_json::to_string(name).map_err(|_| SettingsFault::Unwritable)?;
            members.push(format!("{:indent$}  {name}: {text}", ""));
        }
        Ok(format!("{{\n{}\n{:indent$}}}", members.join(",\n"), ""))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(Members(members))
    }
}

fn indented(value: &impl Serialize, indent: usize) -> Result<String, SettingsFault> {
    let text = serde_json::to_string_pretty(value).map_err(|_| SettingsFault::Unwritable)?;
    Ok(text.replace('\n', &format!("\n{:indent$}", "")))
}

fn syntax(error: &serde_json::Error) -> SettingsFault {
    SettingsFault::Syntax { line: error.line(), column: error.column() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merge(old: Option<&str>) -> Result<String, SettingsFault> {
        merged(old, "mcpServers", "vouchsafe", &json!({ "command": "/bin/v", "args": ["mcp"] }))
    }

    #[test]
    fn a_new_file_holds_our_entry_alone() {
        let expected = r#"{
  "mcpServers": {
    "vouchsafe": {
      "args": [
        "mcp"
      ],
      "command": "/bin/v"
    }
  }
}
"#;
        assert_eq!(merge(None).unwrap(), expected);
        assert_eq!(merge(Some(" \n")).unwrap(), expected);
    }

    #[test]
    fn all_else_stays_as_it_was_and_where_it_was() {
        let old = r#"{
  "zoom": 1.50,
  "mcpServers": {
    "other": {"command": "x", "env": {"B": "\u00e9", "A": 1e3}},
    "vouchsafe": {"command": "old"}
  },
  "alpha": [1,
    2]
}"#;
        let new = merge(Some(old)).unwrap();
        assert!(new.contains(r#""zoom": 1.50"#));
        assert!(new.contains(r#""other": {"command": "x", "env": {"B": "\u00e9", "A": 1e3}}"#));
        assert!(new.contains("\"alpha\": [1,\n    2]"));
        let order =
            ["zoom", "mcpServers", "other", "vouchsafe", "alpha"].map(|name| new.find(name));
        assert!(order.is_sorted());
        assert!(!new.contains("\"old\""));
        assert_eq!(merge(Some(&new)).unwrap(), new, "a second time changes nothing");
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let commented = "{\n  // my servers\n  \"mcpServers\": {}\n}";
        assert_eq!(merge(Some(commented)), Err(SettingsFault::Syntax { line: 2, column: 3 }));
        let section = SettingsFault::Section("mcpServers".to_owned());
        assert_eq!(merge(Some(r#"{"mcpServers": []}"#)), Err(section));
        assert!(merge(Some(r#"{"mcpServers": {}, "mcpServers": {}}"#)).is_err());
        assert!(merge(Some("[]")).is_err());
    }
}
