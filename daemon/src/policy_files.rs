//! Policy files on disk, and the rules that run.
//!
//! Reading and swapping only: what the files mean is the core's. The rules of the project `default`
//! are the files directly in the policy folder, those of another project are in the folder of its
//! name. All sets are swapped at once; with a mistake in one, nothing changes but what
//! [`PolicyFiles::problems`] says.

mod folder;
mod sets;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use vouchsafe_core::policy::{Placed, PolicyFile, Problem, RuleSet};
use vouchsafe_core::project::DEFAULT_PROJECT;
use vouchsafe_core::time::UnixTime;

pub use self::folder::{Folder, ReadError, Stamp, read_dir};
pub use self::sets::{Members, Sets, parse, project_of};

/// The rules that run, or have run: a set a project.
#[derive(Clone, Debug)]
pub struct Loaded {
    sets: Sets,
    nothing: RuleSet,
    digest: String,
    /// Where they came from, for people.
    pub source: String,
    /// When they were read.
    pub loaded_at: UnixTime,
    /// The files of rules that they were read from.
    pub files: Vec<PolicyFile>,
}

/// The rules that run, and what was wrong with those last tried. Shared by reference.
#[derive(Debug)]
pub struct PolicyFiles {
    state: RwLock<State>,
}

/// What tells one reading of the folder from another: the files, and the projects they were read
/// for. Rules that were refused since their project was not there are tried again once it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// [`Folder::digest`].
    pub files: String,
    projects: Vec<String>,
}

#[derive(Debug)]
struct State {
    running: Arc<Loaded>,
    problems: Vec<Problem>,
    /// What was read last, whatever became of it.
    seen: Option<Seen>,
    /// Why nobody is told when the folder changes, where nobody is.
    unwatched: Option<String>,
}

impl Loaded {
    /// Rules as they were read from these files.
    pub fn new(
        sets: Sets,
        files: Vec<PolicyFile>,
        source: impl Into<String>,
        loaded_at: UnixTime,
    ) -> Self {
        let digest = digest(&sets);
        let nothing = RuleSet::empty();
        Self { sets, nothing, digest, source: source.into(), loaded_at, files }
    }

    /// No rules for anybody: everything is refused.
    pub fn nothing(source: impl Into<String>, loaded_at: UnixTime) -> Self {
        Self::new(Sets::new(), Vec::new(), source, loaded_at)
    }

    /// The rules of the project of this name; of one that has none, or that there is not, none.
    pub fn of(&self, project: &str) -> &RuleSet {
        self.sets.get(project).unwrap_or(&self.nothing)
    }

    /// SHA-256, hex, over what all rules mean. Where the project `default` alone has rules, it is
    /// the digest of its set, which is what its approvals name.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many rules there are in all projects.
    pub fn count(&self) -> u32 {
        let count: usize = self.sets.values().map(|set| set.rules().len()).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The set of each project that has rules.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &RuleSet)> {
        self.sets.iter().map(|(project, set)| (project.as_str(), set))
    }

    /// Every rule with the project it is of.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Placed)> {
        self.sets
            .iter()
            .flat_map(|(project, set)| set.rules().iter().map(move |rule| (project.as_str(), rule)))
    }
}

impl Seen {
    /// A reading of this folder for these projects.
    pub fn of(folder: &Folder, projects: &[Members]) -> Self {
        let open = projects.iter().filter(|members| !members.archived);
        let projects = open.map(|members| members.project.clone()).collect();
        Self { files: folder.digest(), projects }
    }
}

impl PolicyFiles {
    /// Starts with these rules; [`Loaded::nothing`] refuses everything until better ones come.
    pub const fn new(running: Arc<Loaded>) -> Self {
        let state = State { running, problems: Vec::new(), seen: None, unwatched: None };
        Self { state: RwLock::new(state) }
    }

    /// The rules that run. What is decided by them is decided by them whole: ask once, then decide.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.read().running)
    }

    /// Lets other rules run, and returns those before. There is nothing wrong any more.
    pub fn replace(&self, next: Arc<Loaded>) -> Arc<Loaded> {
        let mut state = self.write();
        state.problems.clear();
        std::mem::replace(&mut state.running, next)
    }

    /// Notes what is wrong with rules that were tried. Those that run run on.
    pub fn refuse(&self, problems: Vec<Problem>) {
        self.write().problems = problems;
    }

    /// What was wrong with the rules last tried; empty where they run, or wait.
    pub fn problems(&self) -> Vec<Problem> {
        self.read().problems.clone()
    }

    /// Notes what was read last; nothing where it could not be.
    pub fn saw(&self, seen: Option<Seen>) {
        self.write().seen = seen;
    }

    /// What was read last.
    pub fn seen(&self) -> Option<Seen> {
        self.read().seen.clone()
    }

    /// Notes that changes of the folder are noticed late, and why; or that they are at once.
    pub fn unwatched(&self, why: Option<String>) {
        self.write().unwatched = why;
    }

    /// Why changes of the folder are noticed late; nothing where they are at once.
    pub fn why_unwatched(&self) -> Option<String> {
        self.read().unwatched.clone()
    }

    // A panic while the lock is held leaves the state whole: each change is one assignment.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(sets: &Sets) -> String {
    let others = sets.iter().filter(|(project, _)| *project != DEFAULT_PROJECT);
    if others.clone().next().is_none() {
        let set = sets.get(DEFAULT_PROJECT).map(RuleSet::digest);
        return set.unwrap_or_else(|| RuleSet::empty().digest()).to_string();
    }
    let mut hash = Context::new(&SHA256);
    for (project, set) in sets {
        // A project's name has no line feed in it, and a digest is always as long.
        hash.update(format!("{project}\n{}\n", set.digest()).as_bytes());
    }
    HEXLOWER.encode(hash.finish().as_ref())
}

#[cfg(test)]
mod tests;
