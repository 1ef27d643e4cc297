//! Many secrets at once: a plan first, then all of them or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;
use vouchsafe_core::project::Project;
use vouchsafe_core::resource::SecretPath;
use vouchsafe_core::secret::SecretBytes;
use vouchsafe_core::text::echo;

use super::parse_path;
use super::put::{Writing, given, stored};
use crate::broker::doors::live_user;
use crate::broker::setup::project_in_use;
use crate::broker::{
    Broker, Code, ImportItem, ImportedSecret, Refused, SecretRecord, SecretSettings, Stop, entries,
    random,
};
use crate::store::{Origin, Reader, Tx};
use crate::vault::Vault;

/// The most secrets that are put at once.
const ITEMS_MAX: usize = 1_000;
/// Problems that one refusal names.
const NAMED_MAX: usize = 5;
/// The longest path that a refusal repeats, in characters.
const ECHO_CHARS_MAX: usize = 120;

/// One item, looked at in the store.
struct Planned<'a> {
    said: ImportedSecret,
    /// What is to be stored, where nothing is wrong with it.
    good: Option<(SecretPath, &'a SecretBytes, Option<SecretRecord>)>,
    /// The only fault is that the secret has moved on.
    is_conflict: bool,
}

impl Broker {
    /// What an import would do, and what is wrong with it. Says nothing of whether a value is the
    /// one that is stored already: that would be a way to test guesses.
    pub async fn plan_import(
        &self,
        user: &User,
        project: Option<String>,
        items: Vec<ImportItem>,
    ) -> Result<Vec<ImportedSecret>, Refused> {
        let user = user.clone();
        self.look("plan_import", move |reader| {
            live_user(reader, &user)?;
            check_count(&items)?;
            let project = project_in_use(reader, &user, project.as_deref())?;
            Ok(plan(reader, &project, &items, false)?.into_iter().map(|item| item.said).collect())
        })
        .await
    }

    /// Puts many secrets at the versions that the plan showed, all of them or none.
    pub async fn import_secrets(
        &self,
        user: &User,
        project: Option<String>,
        items: Vec<ImportItem>,
    ) -> Result<Vec<ImportedSecret>, Refused> {
        let subject =
            entries::by_user(Action::SECRET_IMPORTED, user).detail("secrets", items.len());
        let mut ids = Vec::new();
        for _ in items.iter().take(ITEMS_MAX) {
            ids.push(SecretId::from_random(random()?));
        }
        let (user, vault) = (user.clone(), Arc::clone(&self.inner.vault));
        self.run("import_secrets", subject, move |tx| {
            live_user(tx, &user)?;
            check_count(&items)?;
            let project = project_in_use(tx, &user, project.as_deref())?;
            let planned = plan(tx, &project, &items, true)?;
            check_all(&planned)?;
            let new = planned.iter().filter(|item| item.said.before == 0).count();
            let entry = entries::by_user(Action::SECRET_IMPORTED, &user);
            let entry = entry.project(project.name.as_str());
            tx.append(&entry.detail("secrets", planned.len()).detail("new", new))?;
            let mut said = Vec::with_capacity(planned.len());
            for (item, id) in planned.into_iter().zip(&ids) {
                said.push(store(tx, &vault, &user, &project, item, *id)?);
            }
            Ok(said)
        })
        .await
    }
}

fn check_count(items: &[ImportItem]) -> Result<(), Refused> {
    match items.len() {
        0 => Err(Refused::invalid("there is nothing to import", "Give a file with values.")),
        1..=ITEMS_MAX => Ok(()),
        count => Err(Refused::invalid(
            format!("there are {count} secrets, and {ITEMS_MAX} is the most at once"),
            "Import them in parts.",
        )),
    }
}

/// Looks at each item. `bound`: each has to be at the version that it says.
fn plan<'a>(
    reader: &Reader<'_>,
    project: &Project,
    items: &'a [ImportItem],
    bound: bool,
) -> Result<Vec<Planned<'a>>, Stop> {
    let mut seen = BTreeSet::new();
    let mut planned = Vec::with_capacity(items.len());
    for item in items {
        let mut said =
            ImportedSecret { path: item.path.clone(), before: 0, after: 0, problem: None };
        let path = match parse_path(&item.path) {
            Ok(path) => path,
            Err(refused) => {
                said.problem = Some(refused.message);
                planned.push(Planned { said, good: None, is_conflict: false });
                continue;
            }
        };
        let found = reader.secret_at(project.id, &path)?;
        said.before = found.as_ref().map_or(0, |secret| secret.version);
        said.after = said.before.saturating_add(1);
        let is_twice = !seen.insert(path.to_string());
        let moved_on = moved_on(item.expected_version, said.before, bound);
        let is_conflict = !is_twice && moved_on.is_some() && item.expected_version.is_some();
        let good = match &item.value {
            _ if is_twice => Err("it is there twice".to_owned()),
            Err(error) => Err(error.to_string()),
            Ok(value) => moved_on.map_or(Ok(value), Err),
        };
        let good = match good {
            Ok(value) => Some((path, value, found)),
            Err(problem) => {
                said.problem = Some(problem);
                None
            }
        };
        planned.push(Planned { said, good, is_conflict });
    }
    Ok(planned)
}

/// How a secret is not what the plan showed.
fn moved_on(expected: Option<u64>, version: u64, bound: bool) -> Option<String> {
    match (expected, version) {
        (None, _) => bound.then(|| "the version that the plan showed is not given".to_owned()),
        (Some(expected), version) if expected == version => None,
        (Some(expected), 0) => Some(format!("it is gone, and the plan showed version {expected}")),
        (Some(0), version) => {
            Some(format!("it is there by now, at version {version}, and the plan showed none"))
        }
        (Some(expected), version) => {
            Some(format!("it is at version {version}, and the plan showed {expected}"))
        }
    }
}

/// Nothing is put where anything is wrong.
fn check_all(planned: &[Planned<'_>]) -> Result<(), Refused> {
    let wrong: Vec<_> = planned.iter().filter(|item| item.good.is_none()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let named = wrong.iter().take(NAMED_MAX).map(|item| {
        let problem = item.said.problem.as_deref().unwrap_or_default();
        format!("{}: {problem}", echo(&item.said.path, ECHO_CHARS_MAX))
    });
    let named: Vec<_> = named.collect();
    let more = match wrong.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let all = wrong.iter().all(|item| item.is_conflict);
    Err(Refused::new(
        if all { Code::VersionConflict } else { Code::InvalidArgument },
        format!(
            "nothing was imported, for {} of {} secrets cannot be put: {}{more}",
            wrong.len(),
            planned.len(),
            named.join("; ")
        ),
        "Look at the plan again: `vouchsafe secrets import FILE`.",
    ))
}

fn store(
    tx: &mut Tx<'_>,
    vault: &Vault,
    user: &User,
    project: &Project,
    item: Planned<'_>,
    id: SecretId,
) -> Result<ImportedSecret, Stop> {
    let Some((path, value, found)) = item.good else { return Err(Refused::internal().into()) };
    let now = tx.now().wall;
    let mut secret = found.unwrap_or_else(|| SecretRecord::new(id, project.id, path, now));
    let settings = SecretSettings::default();
    let writing = Writing { vault, by: &user.name, settings: &settings };
    writing.sealed(tx, &mut secret, given(value, Origin::Imported), value)?;
    let entry = stored(entries::by_user(Action::SECRET_PUT, user), project, &secret);
    tx.append(&entry.detail("imported", true))?;
    Ok(item.said)
}
