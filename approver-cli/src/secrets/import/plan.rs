//! What an import does, or did, to each secret.

use std::collections::{HashMap, HashSet};

use vouchsafe_proto::v1::ImportedSecret;

use super::item::Item;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::Column;
use crate::record::{Field, Record};

const COLUMNS: [Column; 3] = [("PATH", "path"), ("CHANGE", "change"), ("BYTES", "bytes")];
const PROBLEM_COLUMNS: [Column; 4] =
    [("PATH", "path"), ("CHANGE", "change"), ("BYTES", "bytes"), ("PROBLEM", "problem")];

/// The daemon's answer, in the order of the file.
#[derive(Debug)]
pub(super) struct Plan(Vec<Step>);

#[derive(Debug)]
struct Step {
    path: String,
    line: usize,
    bytes: usize,
    before: u64,
    after: u64,
    problem: String,
}

impl Plan {
    /// An answer that leaves out something that was sent is no answer.
    pub(super) fn new(items: &[Item], answer: Vec<ImportedSecret>) -> Result<Self, CliError> {
        let mut answered: HashMap<String, ImportedSecret> =
            answer.into_iter().map(|secret| (secret.path.clone(), secret)).collect();
        let steps = items.iter().map(|item| {
            let ImportedSecret { path, before, after, problem } = answered.remove(&item.path)?;
            let (line, bytes) = (item.line, item.value.len());
            Some(Step { path, line, bytes, before, after, problem })
        });
        steps
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| CliError::failed("the daemon's answer is not about all that was sent"))
    }

    /// Leaves out what exists, and counts it.
    pub(super) fn skip_existing(&mut self, items: &mut Vec<Item>) -> usize {
        let all = self.0.len();
        self.0.retain(|step| step.before == 0);
        let left: HashSet<&str> = self.0.iter().map(|step| step.path.as_str()).collect();
        items.retain(|item| left.contains(item.path.as_str()));
        all.saturating_sub(self.0.len())
    }

    /// The version that the person saw; 0 for what did not exist.
    pub(super) fn version_before(&self, path: &str) -> u64 {
        self.0.iter().find(|step| step.path == path).map_or(0, |step| step.before)
    }

    pub(super) fn show(&self, context: &Context) -> Result<(), CliError> {
        let is_json = context.out.is_json();
        let records: Vec<Record> =
            self.0.iter().map(|step| if is_json { step.record() } else { step.row() }).collect();
        let columns: &[Column] = if self.problems() > 0 { &PROBLEM_COLUMNS } else { &COLUMNS };
        context.out.list(columns, &records, "nothing is left to import")
    }

    /// An error where one of them cannot be put.
    pub(super) fn check(&self) -> Result<(), CliError> {
        match self.problems() {
            0 => Ok(()),
            problems => {
                let message =
                    format!("nothing was imported: {problems} of {} cannot be put", self.0.len());
                Err(CliError::new(Exit::Conflict, message)
                    .with_next("leave those out of the file, or mend what is wrong with them"))
            }
        }
    }

    pub(super) fn question(&self, project: &str) -> String {
        format!("Import {} into project {project}?", self.told())
    }

    /// "3 secrets: 2 new, 1 with a new version"
    pub(super) fn told(&self) -> String {
        let new = self.0.iter().filter(|step| step.before == 0).count();
        let changed = self.0.len().saturating_sub(new);
        let noun = if self.0.len() == 1 { "secret" } else { "secrets" };
        let parts = match (new, changed) {
            (new, 0) => format!("{new} new"),
            (0, changed) => format!("{changed} with a new version"),
            (new, changed) => format!("{new} new, {changed} with a new version"),
        };
        format!("{} {noun}: {parts}", self.0.len())
    }

    fn problems(&self) -> usize {
        self.0.iter().filter(|step| !step.problem.is_empty()).count()
    }
}

impl Step {
    fn row(&self) -> Record {
        let change = match self.before {
            0 => "new".to_owned(),
            before => format!("version {before} -> {}", self.after),
        };
        Record::new()
            .text("path", &self.path)
            .text("change", change)
            .with("bytes", self.size())
            .text("problem", &self.problem)
    }

    fn record(&self) -> Record {
        Record::new()
            .text("path", &self.path)
            .number("line", u64::try_from(self.line).unwrap_or(u64::MAX))
            .number("before", self.before)
            .number("after", self.after)
            .with("bytes", self.size())
            .text("problem", &self.problem)
    }

    fn size(&self) -> Field {
        Field::Number(u64::try_from(self.bytes).unwrap_or(u64::MAX))
    }
}
