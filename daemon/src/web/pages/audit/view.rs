//! An entry of the log as its page shows it.

use serde::Deserialize;
use serde_json::Value;
use vouchsafe_core::text::{escape_json, escape_untrusted};
use vouchsafe_core::time::UnixTime;

use super::super::dates::When;
use crate::broker::StoredEntry;

/// Resources that stand in the one line of an entry at most; all are in what unfolds.
const RESOURCES_SHOWN: usize = 2;

/// One entry.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) seq: u64,
    pub(super) time: When,
    pub(super) action: String,
    pub(super) actor: String,
    pub(super) actor_kind: String,
    /// How they proved who they are, and which way they came.
    pub(super) proof: String,
    pub(super) outcome: String,
    pub(super) project: Option<String>,
    /// Without their scheme.
    pub(super) resources: Vec<String>,
    /// How many resources are left out.
    pub(super) more: usize,
    pub(super) approval: Option<String>,
    pub(super) lease: Option<String>,
    /// All that was hashed, as JSON on several lines, with nothing in it that hides.
    pub(super) whole: String,
    pub(super) leaf: String,
}

#[derive(Deserialize)]
struct Line {
    time: String,
    action: String,
    actor: Who,
    outcome: String,
    project: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    approval: Option<String>,
    lease: Option<String>,
}

#[derive(Deserialize)]
struct Who {
    name: String,
    kind: String,
    proof: String,
    via: String,
}

impl From<&StoredEntry> for EntryRow {
    fn from(entry: &StoredEntry) -> Self {
        let whole = match serde_json::from_str::<Value>(&entry.line) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
            Err(_) => entry.line.clone(),
        };
        let line = serde_json::from_str(&entry.line).unwrap_or_else(|_| Line::unreadable());
        let shown = |text: &str| escape_untrusted(text).text;
        let short = |uri: &String| shown(uri.strip_prefix("vouchsafe://").unwrap_or(uri));
        let resources: Vec<_> = line.resources.iter().take(RESOURCES_SHOWN).map(short).collect();
        Self {
            seq: entry.seq,
            time: match UnixTime::parse_rfc3339(&line.time) {
                Some(time) => When::of_second(time),
                None => When { rfc3339: String::new(), text: shown(&line.time) },
            },
            action: line.action,
            actor: shown(&line.actor.name),
            proof: match line.actor.proof.as_str() {
                "none" => line.actor.via,
                proof => format!("{}, {}", proof.replace('-', " "), line.actor.via),
            },
            actor_kind: line.actor.kind,
            outcome: line.outcome,
            project: line.project,
            more: line.resources.len().saturating_sub(resources.len()),
            resources,
            approval: line.approval,
            lease: line.lease,
            whole: escape_json(&whole),
            leaf: entry.leaf.to_string(),
        }
    }
}

impl Line {
    /// What is shown of a line that somebody else has written.
    fn unreadable() -> Self {
        let unknown = || "unreadable".to_owned();
        let actor = Who { name: unknown(), kind: unknown(), proof: unknown(), via: unknown() };
        Self {
            time: unknown(),
            action: unknown(),
            actor,
            outcome: "failed".to_owned(),
            project: None,
            resources: Vec::new(),
            approval: None,
            lease: None,
        }
    }
}
