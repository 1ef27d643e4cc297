//! What a page's address says is wanted of a long list: its filters, and which page of it.

use vouchsafe_core::resource::Pattern;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::UnixTime;

use super::form::{Fields, encoded};
use crate::broker::{Page, Refused};

/// Items on a page.
const ITEMS: u32 = 50;
/// The longest value that is looked at, in characters.
const CHARS_MAX: usize = 500;

/// One choice of several, as a list to choose from shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Choice {
    /// What the field then holds.
    pub(super) value: String,
    /// What people read.
    pub(super) label: String,
    /// It is the one that was chosen.
    pub(super) chosen: bool,
}

/// One part of a list, above it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tab {
    pub(super) href: String,
    pub(super) label: &'static str,
    pub(super) here: bool,
}

impl Choice {
    /// These choices, `(value, label)`, of which `chosen` was made.
    pub(super) fn all<V: Into<String>, L: Into<String>>(
        of: impl IntoIterator<Item = (V, L)>,
        chosen: &str,
    ) -> Vec<Self> {
        of.into_iter()
            .map(|(value, label)| {
                let value = value.into();
                Self { chosen: value == chosen, value, label: label.into() }
            })
            .collect()
    }
}

impl Tab {
    /// Parts of the list at `path`, `(status, label)`; the first is what is shown where none is
    /// named.
    pub(super) fn all(path: &str, of: &[(&str, &'static str)], here: &str) -> Vec<Self> {
        let tab = |(status, label): &(&str, &'static str)| Self {
            href: format!("{path}?status={status}"),
            label,
            here: *status == here,
        };
        of.iter().map(tab).collect()
    }
}

/// A field that holds something.
pub(super) fn given(fields: &Fields, name: &str) -> Result<Option<String>, Refused> {
    let value = fields.one(name);
    if value.chars().count() > CHARS_MAX {
        return Err(Refused::invalid(
            format!("what stands under {name} is too long"),
            format!("Write {CHARS_MAX} characters at most."),
        ));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// Which page is wanted.
pub(super) fn page(fields: &Fields) -> Page {
    Page { size: ITEMS, token: fields.one("page").to_owned() }
}

/// Where the next page is, with the same filters, which have these names; none after the last one.
pub(super) fn next(path: &str, fields: &Fields, names: &[&str], token: &str) -> Option<String> {
    if token.is_empty() {
        return None;
    }
    let kept = names.iter().map(|name| (*name, fields.one(name)));
    let kept = kept.filter(|(_, value)| !value.is_empty()).chain([("page", token)]);
    let pairs: Vec<_> = kept.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Some(format!("{path}?{}", pairs.join("&")))
}

/// A time in UTC as a browser's field for it has it, `2026-11-21T10:44`, or as RFC 3339.
pub(super) fn time(fields: &Fields, name: &str) -> Result<Option<UnixTime>, Refused> {
    let text = fields.one(name);
    if text.is_empty() {
        return Ok(None);
    }
    let read = ["", ":00Z", "Z", "T00:00:00Z"]
        .iter()
        .find_map(|end| UnixTime::parse_rfc3339(&format!("{text}{end}")));
    read.map(Some).ok_or_else(|| {
        Refused::invalid(
            format!("`{}` is no time", echo(text, 40)),
            "Write it as 2026-11-21T10:44, in UTC.",
        )
    })
}

/// A pattern of resources: a whole one, or what follows `prefix` in it.
pub(super) fn pattern(
    fields: &Fields,
    name: &str,
    prefix: &str,
) -> Result<Option<Pattern>, Refused> {
    let Some(text) = given(fields, name)? else { return Ok(None) };
    let whole = if text.contains("://") { text } else { format!("{prefix}{text}") };
    let read = whole.parse::<Pattern>();
    read.map(Some).map_err(|error| {
        Refused::invalid(error.to_string(), "Write it as vouchsafe://secrets/production/**.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        let asked = fields("actor=a%26b&page=old&outcome=&since=2026-11-21T10%3A44&other=1");
        assert_eq!(page(&asked).token, "old");
        let next_page = next("/audit", &asked, &["actor", "outcome", "since"], "17.x").unwrap();
        assert_eq!(next_page, "/audit?actor=a%26b&since=2026-11-21T10%3A44&page=17.x");
        assert_eq!(next("/audit", &asked, &["actor"], ""), None);
    }

    #[test]
    fn times_are_read_as_browsers_and_people_write_them() {
        let at = UnixTime::parse_rfc3339("2026-11-21T10:44:00Z");
        for text in ["2026-11-21T10:44", "2026-11-21T10:44:00", "2026-11-21T10:44:00Z"] {
            assert_eq!(time(&fields(&format!("since={text}")), "since").unwrap(), at, "{text}");
        }
        assert_eq!(time(&fields("since="), "since").unwrap(), None);
        assert!(time(&fields("since=2026-11-21"), "since").unwrap().is_some());
        assert!(time(&fields("since=soon"), "since").is_err());
    }

    #[test]
    fn a_path_is_short_for_its_pattern() {
        let read = |text: &str| pattern(&fields(text), "path", "vouchsafe://secrets/");
        assert_eq!(
            read("path=production/*").unwrap().map(|pattern| pattern.to_string()),
            Some("vouchsafe://secrets/production/*".to_owned())
        );
        assert!(read("path=vouchsafe://secrets/a/**").unwrap().is_some());
        assert!(read("path=a//b").is_err());
        assert!(read(&format!("path={}", "x".repeat(501))).is_err());
    }
}
