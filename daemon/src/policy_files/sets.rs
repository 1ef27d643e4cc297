//! Which file is for which project, and the set of each.

use std::collections::BTreeMap;

use vouchsafe_core::id::ProjectId;
use vouchsafe_core::policy::{self, Directory, Options, PolicyFile, Problem, RuleSet};
use vouchsafe_core::project::DEFAULT_PROJECT;

use super::Folder;

/// A project that files may have rules for, and who is in it.
#[derive(Clone, Debug)]
pub struct Members {
    /// The project's id.
    pub id: ProjectId,
    /// The project's name.
    pub project: String,
    /// An archived project's folder is passed over.
    pub archived: bool,
    /// The people there.
    pub people: Directory,
}

/// The set of each project that has rules, by the project's name.
pub type Sets = BTreeMap<String, RuleSet>;

/// The name of the project that a file is for: `default` for what lies directly in the folder.
pub fn project_of(file: &str) -> &str {
    file.split_once('/').map_or(DEFAULT_PROJECT, |(folder, _)| folder)
}

/// Reads the rules of every project, or says everything that is wrong with them. A folder of no
/// project is wrong: rules that nobody is under would look as if they held.
pub fn parse(
    folder: &Folder,
    projects: &[Members],
    options: &Options,
) -> Result<Sets, Vec<Problem>> {
    let mut problems: Vec<_> =
        folder.folders.iter().filter_map(|name| misplaced(name, projects)).collect();
    problems.extend(folder.rules.iter().chain(&folder.cases).filter_map(too_deep));
    let mut sets = Sets::new();
    for members in projects.iter().filter(|members| !members.archived) {
        let own = folder.rules.iter().filter(|file| project_of(&file.name) == members.project);
        let own: Vec<_> = own.cloned().collect();
        if own.is_empty() {
            continue;
        }
        match policy::parse(&own, &members.people, options) {
            Ok(set) => drop(sets.insert(members.project.clone(), set)),
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() {
        return Ok(sets);
    }
    problems.sort();
    problems.truncate(policy::PROBLEMS_MAX);
    Err(problems)
}

fn misplaced(folder: &str, projects: &[Members]) -> Option<Problem> {
    let (message, mend) = if folder == DEFAULT_PROJECT {
        (
            "the rules of the project `default` are not in a folder of that name".to_owned(),
            "move its files up, beside the folders of the other projects".to_owned(),
        )
    } else if projects.iter().any(|members| members.project == folder) {
        return None;
    } else {
        (
            format!("there is no project `{}`", vouchsafe_core::text::echo(folder, 40)),
            "make it with `vouchsafe projects create`, or take its folder away".to_owned(),
        )
    };
    Some(Problem { file: folder.to_owned(), line: 0, message, mend })
}

fn too_deep(file: &PolicyFile) -> Option<Problem> {
    (file.name.matches('/').count() > 1).then(|| Problem {
        file: file.name.clone(),
        line: 0,
        message: "a policy file lies in the policy folder or in a project's folder there"
            .to_owned(),
        mend: "move it up".to_owned(),
    })
}
