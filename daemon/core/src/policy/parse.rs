//! Reading all policy files into one set, or into all that is wrong with them.

use super::clash::clashes;
use super::directory::Directory;
use super::read;
use super::set::{Placed, RuleSet};
use super::source::{PolicyFile, Problem, Source};
use crate::route::ChannelName;

/// The most files in a set.
pub const FILES_MAX: usize = 100;
/// The most rules in a set.
pub const RULES_MAX: usize = 2_000;
/// The largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// The most problems that are told at once.
pub const PROBLEMS_MAX: usize = 1_000;

/// What holds for a whole home.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Every rule is read as if it said `self_approval = true`: a dev home has one user.
    pub self_approval_everywhere: bool,
    /// The channels that there are; none: any that could be is let pass.
    pub channels: Option<Vec<ChannelName>>,
}

/// Reads files into a set of rules, or says everything that is wrong with them, sorted by place.
///
/// The order of the files makes no difference.
pub fn parse(
    files: &[PolicyFile],
    directory: &Directory,
    options: &Options,
) -> Result<RuleSet, Vec<Problem>> {
    let mut problems = Vec::new();
    if files.len() > FILES_MAX {
        let message = format!("{} policy files are too many", files.len());
        problems.push(general(message, format!("join them into {FILES_MAX} at most")));
        return Err(problems);
    }
    let mut rules = Vec::new();
    for file in files {
        let (read, wrong) = read_file(file, directory, options);
        rules.extend(read);
        problems.extend(wrong);
    }
    if rules.len() > RULES_MAX {
        let message = format!("{} rules are too many", rules.len());
        problems.push(general(message, format!("join them into {RULES_MAX} at most")));
    } else {
        rules.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        problems.extend(clashes(&rules));
    }
    if problems.is_empty() {
        RuleSet::new(rules).map_err(|error| {
            vec![general(
                format!("the patterns are too large together: {error}"),
                "use fewer rules",
            )]
        })
    } else {
        problems.sort();
        problems.truncate(PROBLEMS_MAX);
        Err(problems)
    }
}

fn read_file(
    file: &PolicyFile,
    directory: &Directory,
    options: &Options,
) -> (Vec<Placed>, Vec<Problem>) {
    let mut source = Source::new(file);
    if source.refuse_large(&file.text) {
        return (Vec::new(), source.problems);
    }
    let mut rules = Vec::new();
    if let Some(root) = source.parse(&file.text) {
        for value in source.tables(root.get_ref(), "rule") {
            rules.extend(read::rule(&mut source, value, directory, options));
        }
    }
    (rules, source.problems)
}

fn general(message: impl Into<String>, mend: impl Into<String>) -> Problem {
    Problem { file: String::new(), line: 0, message: message.into(), mend: mend.into() }
}
