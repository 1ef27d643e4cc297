//! Secrets, as operators see them: values go in and never come out.

pub(super) mod dates;
mod ends;
mod import;
mod keep;
mod make;
mod put;
mod settings;
mod version;

use std::time::Duration;

use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::project::Project;
use vouchsafe_core::resource::{Resource, SecretPath};
use vouchsafe_core::time::UnixTime;

pub(super) use self::keep::Keeping;
pub(super) use self::version::{end_secret, next_version};
use super::doors::live_user;
use super::paging::by_name;
use super::setup::project_or_default;
use super::{
    Broker, Code, Page, Paged, Refused, SecretFilter, SecretRecord, SecretView, Stop,
    VersionRecord, entries,
};
use crate::store::Reader;

impl Broker {
    /// Secrets by path.
    pub async fn list_secrets(
        &self,
        user: &User,
        filter: SecretFilter,
        page: Page,
    ) -> Result<Paged<SecretView>, Refused> {
        let (user, undelete_for) = (user.clone(), self.inner.settings.undelete_for);
        self.look("list_secrets", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, &user, filter.project.as_deref())?;
            by_name(
                &page,
                |after, limit| {
                    Ok(if filter.deleted {
                        reader.secrets_deleted_after(project.id, after, limit)?
                    } else {
                        reader.secrets_after(project.id, after, limit)?
                    })
                },
                |secret| match secret.deleted_at {
                    None => secret.path.to_string(),
                    // Several may have been deleted at one path.
                    Some(_) => format!("{} {}", secret.path, secret.id),
                },
                |secret| {
                    let wanted = is_wanted(&filter, &secret);
                    wanted.then(|| view(reader, &project, secret, undelete_for)).transpose()
                },
            )
        })
        .await
    }

    /// One secret, without its value.
    pub async fn show_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
    ) -> Result<SecretView, Refused> {
        let (user, path) = (user.clone(), path.to_owned());
        let undelete_for = self.inner.settings.undelete_for;
        self.look("show_secret", move |reader| {
            live_user(reader, &user)?;
            let (project, secret) = find(reader, &user, project.as_deref(), &path)?;
            view(reader, &project, secret, undelete_for)
        })
        .await
    }

    /// A secret's versions, newest first.
    pub async fn list_secret_versions(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
    ) -> Result<Vec<VersionRecord>, Refused> {
        let (user, path) = (user.clone(), path.to_owned());
        self.look("list_secret_versions", move |reader| {
            live_user(reader, &user)?;
            let (_, secret) = find(reader, &user, project.as_deref(), &path)?;
            Ok(reader.secret_versions(&secret)?)
        })
        .await
    }

    /// Shows a secret to whoever has just changed it.
    async fn secret_view(&self, saved: (Project, SecretRecord)) -> Result<SecretView, Refused> {
        let undelete_for = self.inner.settings.undelete_for;
        let (project, secret) = saved;
        self.look("secret_view", move |reader| view(reader, &project, secret, undelete_for)).await
    }
}

fn is_wanted(filter: &SecretFilter, secret: &SecretRecord) -> bool {
    let has = |(name, value): (&String, &String)| {
        let mut labels = secret.upkeep.labels.iter();
        labels.any(|(is, has)| is == name && (value.is_empty() || has == value))
    };
    filter.pattern.as_ref().is_none_or(|pattern| pattern.matches(&secret.resource()))
        && filter.labels.iter().all(has)
}

/// A secret with the names of what it belongs to.
fn view(
    reader: &Reader<'_>,
    project: &Project,
    secret: SecretRecord,
    undelete_for: Duration,
) -> Result<SecretView, Stop> {
    let owner = secret.upkeep.owner.map(|owner| reader.user(owner)).transpose()?.flatten();
    Ok(SecretView {
        project: project.name.to_string(),
        owner: owner.map(|owner| owner.name.to_string()),
        purge_at: secret.deleted_at.map(|deleted| purge_at(deleted, undelete_for)),
        secret,
    })
}

/// The live secret at that path.
fn find(
    reader: &Reader<'_>,
    user: &User,
    project: Option<&str>,
    path: &str,
) -> Result<(Project, SecretRecord), Stop> {
    let project = project_or_default(reader, user, project)?;
    let secret = find_in(reader, &project, path)?;
    Ok((project, secret))
}

/// The live secret at that path of a project.
fn find_in(reader: &Reader<'_>, project: &Project, path: &str) -> Result<SecretRecord, Stop> {
    let path = parse_path(path)?;
    Ok(reader.secret_at(project.id, &path)?.ok_or_else(|| not_found(&path))?)
}

/// A path, or the whole URI of a secret.
fn parse_path(text: &str) -> Result<SecretPath, Refused> {
    let parsed = match text.parse::<Resource>() {
        Ok(Resource::Secret(path)) => Ok(path),
        Ok(Resource::Tool { .. } | Resource::Audit | Resource::Policy) | Err(_) => {
            text.parse::<SecretPath>()
        }
    };
    parsed.map_err(|error| {
        Refused::invalid(error.to_string(), "Write it as production/DATABASE_URL.")
    })
}

/// What the log says of a command that is refused: which secret it was for, if it named one.
fn about(action: Action, user: &User, path: &str) -> Entry {
    let entry = entries::by_user(action, user);
    match parse_path(path) {
        Ok(path) => entry.resource(&Resource::Secret(path)),
        Err(_) => entry,
    }
}

fn check_version(
    found: Option<&SecretRecord>,
    expected: Option<u64>,
    path: &SecretPath,
) -> Result<(), Refused> {
    let version = found.map_or(0, |secret| secret.version);
    match expected {
        Some(0) if version > 0 => Err(Refused::new(
            Code::AlreadyExists,
            format!("there is a secret {path} already, at version {version}"),
            "Leave the expected version out to make a new version.",
        )),
        Some(expected) if expected != version => Err(Refused::new(
            Code::VersionConflict,
            format!("{path} is at version {version}, not at {expected}"),
            "Look at `vouchsafe secrets versions` and decide again.",
        )),
        _ => Ok(()),
    }
}

fn not_found(path: &SecretPath) -> Refused {
    Refused::new(
        Code::SecretNotFound,
        format!("there is no secret {path}"),
        "`vouchsafe secrets list` shows which there are.",
    )
}

fn not_generated(path: &SecretPath) -> Refused {
    Refused::new(
        Code::NotGenerated,
        format!(
            "the value of {path} was given by somebody, so that nothing says how to make another"
        ),
        format!("Make one with `vouchsafe secrets generate {path}`, or put one."),
    )
}

/// Until when a secret that was deleted then can be undeleted.
fn purge_at(deleted: UnixTime, undelete_for: Duration) -> UnixTime {
    deleted.plus(undelete_for)
}
