//! One description of an answer, for people and for programs.
//!
//! A `Record` names its fields as the proto does. As JSON it holds RFC 3339 times; as text the
//! times are told from now, and what is empty is left out.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use crate::text::safe_line;
use crate::time::{self, Time};

/// Named fields in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record(Vec<(&'static str, Field)>);

/// One value of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Text(String),
    Number(u64),
    Flag(bool),
    Time(Option<Time>),
    Span(Option<Duration>),
    Many(Vec<Self>),
    Inner(Record),
    Json(Value),
}

impl Record {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Field::Text(text.into()))
    }

    pub(crate) fn number(self, name: &'static str, number: impl Into<u64>) -> Self {
        self.with(name, Field::Number(number.into()))
    }

    /// `null`, or nothing, where there is none.
    pub(crate) fn number_if(self, name: &'static str, number: Option<u64>) -> Self {
        self.with(name, number.map_or(Field::Json(Value::Null), Field::Number))
    }

    pub(crate) fn flag(self, name: &'static str, flag: bool) -> Self {
        self.with(name, Field::Flag(flag))
    }

    pub(crate) fn time(self, name: &'static str, at: Option<prost_types::Timestamp>) -> Self {
        self.with(name, Field::Time(at.and_then(time::from_proto)))
    }

    pub(crate) fn span(self, name: &'static str, span: Option<prost_types::Duration>) -> Self {
        self.with(name, Field::Span(span.and_then(time::span_from_proto)))
    }

    pub(crate) fn texts<T: Into<String>>(
        self,
        name: &'static str,
        texts: impl IntoIterator<Item = T>,
    ) -> Self {
        let texts = texts.into_iter().map(|text| Field::Text(text.into())).collect();
        self.with(name, Field::Many(texts))
    }

    pub(crate) fn records(
        self,
        name: &'static str,
        records: impl IntoIterator<Item = Self>,
    ) -> Self {
        self.with(name, Field::Many(records.into_iter().map(Field::Inner).collect()))
    }

    /// `null` where there is none.
    pub(crate) fn with_record(self, name: &'static str, record: Option<Self>) -> Self {
        self.with(name, record.map_or(Field::Json(Value::Null), Field::Inner))
    }

    pub(crate) fn with(mut self, name: &'static str, field: Field) -> Self {
        self.0.push((name, field));
        self
    }

    /// The field of that name as it stands in a table; `-` where there is nothing.
    pub(crate) fn cell(&self, name: &str, now: Time) -> String {
        let field = self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| field);
        let text = field.map(|field| field.told(now)).unwrap_or_default();
        if text.is_empty() { "-".to_owned() } else { text }
    }

    /// A line for each field that holds something.
    pub(crate) fn lines(&self, now: Time) -> Vec<String> {
        let told: Vec<(String, String)> = self
            .0
            .iter()
            .map(|(name, field)| (name.replace('_', " "), field.told_at_length(now)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let width = told.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        told.iter()
            .map(|(name, text)| {
                let indented = text.replace('\n', &format!("\n{:width$}  ", ""));
                format!("{name:width$}  {indented}")
            })
            .collect()
    }
}

impl Field {
    /// Short, on one line.
    fn told(&self, now: Time) -> String {
        match self {
            Self::Text(text) => safe_line(text),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Time(at) => at.map(|at| time::relative(at, now)).unwrap_or_default(),
            Self::Span(span) => span.map(time::span).unwrap_or_default(),
            Self::Many(fields) => {
                fields.iter().map(|field| field.told(now)).collect::<Vec<_>>().join(", ")
            }
            Self::Inner(record) => record.told(now),
            Self::Json(value) => json_told(value),
        }
    }

    /// With the exact time, and a line for each of several records.
    fn told_at_length(&self, now: Time) -> String {
        match self {
            Self::Time(Some(at)) => {
                format!("{} ({})", time::relative(*at, now), time::exact(*at))
            }
            Self::Many(fields) if matches!(fields.first(), Some(Self::Inner(_))) => {
                fields.iter().map(|field| field.told(now)).collect::<Vec<_>>().join("\n")
            }
            Self::Text(_)
            | Self::Number(_)
            | Self::Flag(_)
            | Self::Time(None)
            | Self::Span(_)
            | Self::Many(_)
            | Self::Inner(_)
            | Self::Json(_) => self.told(now),
        }
    }
}

impl Record {
    fn told(&self, now: Time) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(name, field)| (name.replace('_', " "), field.told(now)))
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("{name}: {text}"))
            .collect();
        parts.join("; ")
    }
}

fn json_told(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => safe_line(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            safe_line(&value.to_string())
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Time(at) => at.map(time::exact).serialize(serializer),
            Self::Span(span) => span.map(time::span).serialize(serializer),
            Self::Many(fields) => fields.serialize(serializer),
            Self::Inner(record) => record.serialize(serializer),
            Self::Json(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let at = "2026-11-21T12:14:30Z".parse().unwrap();
        Record::new()
            .text("id", "ls_1")
            .time("expires_at", Some(time::to_proto(at)))
            .span("lease_max", Some(time::span_to_proto(Duration::from_mins(90))))
            .text("ended_by", "")
            .texts("only", ["a", "b\u{202e}"])
            .flag("enabled", true)
    }

    fn noon() -> Time {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn programs_get_proto_names_and_exact_times() {
        assert_eq!(
            serde_json::to_string(&record()).unwrap(),
            r#"{"id":"ls_1","expires_at":"2026-11-21T12:14:30.000Z","lease_max":"1h 30m","ended_by":"","only":["a","b"#
                .to_owned()
                + "\u{202e}"
                + r#""],"enabled":true}"#
        );
    }

    #[test]
    fn people_get_relative_times_and_no_empty_lines() {
        assert_eq!(
            record().lines(noon()),
            [
                "id          ls_1",
                "expires at  in 14 min (2026-11-21T12:14:30.000Z)",
                "lease max   1h 30m",
                "only        a, b\\u{202e}",
                "enabled     yes",
            ]
        );
        assert_eq!(record().cell("expires_at", noon()), "in 14 min");
        assert_eq!(record().cell("ended_by", noon()), "-");
    }
}
