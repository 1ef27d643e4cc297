//! Secrets, as operators see them: values go in and never come out.

mod version;

use std::sync::Arc;

use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;
use vouchsafe_core::resource::{Pattern, Resource, SecretPath};
use vouchsafe_core::secret::DESCRIPTION_CHARS_MAX;
use vouchsafe_core::text::escape_untrusted;

pub(super) use self::version::{end_secret, next_version};
use super::doors::live_user;
use super::paging::by_name;
use super::setup::{project_in_use, project_or_default};
use super::{
    Broker, Code, Page, Paged, PutSecret, Refused, SecretRecord, Stop, VersionRecord, entries,
    random,
};
use crate::store::{Reader, Tx, Upkeep, ValueRecord};
use crate::vault::{Place, Vault};
use vouchsafe_core::project::Project;

impl Broker {
    /// Secrets by path.
    pub async fn list_secrets(
        &self,
        user: &User,
        project: Option<String>,
        pattern: Option<Pattern>,
        page: Page,
    ) -> Result<Paged<SecretRecord>, Refused> {
        let user = user.clone();
        self.look("list_secrets", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, &user, project.as_deref())?;
            by_name(
                &page,
                |after, limit| Ok(reader.secrets_after(project.id, after, limit)?),
                |secret| secret.path.to_string(),
                |secret| {
                    let fits = pattern.as_ref().is_none_or(|p| p.matches(&secret.resource()));
                    Ok(fits.then_some(secret))
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
    ) -> Result<SecretRecord, Refused> {
        let (user, path) = (user.clone(), path.to_owned());
        self.look("show_secret", move |reader| {
            live_user(reader, &user)?;
            Ok(find(reader, &user, project.as_deref(), &path)?.1)
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

    /// Makes a secret, or a new version of it: then leases on the version before release nothing,
    /// unless their rule follows rotations.
    pub async fn put_secret(&self, user: &User, put: PutSecret) -> Result<SecretRecord, Refused> {
        let subject = about(Action::SECRET_PUT, user, &put.path);
        let id = SecretId::from_random(random()?);
        let vault = Arc::clone(&self.inner.vault);
        let user = user.clone();
        self.run("put_secret", subject, move |tx| {
            live_user(tx, &user)?;
            store_value(tx, &vault, &user, &put, id)
        })
        .await
    }

    /// Deletes a secret: its leases end, and asks for it expire.
    pub async fn delete_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
        reason: String,
    ) -> Result<u32, Refused> {
        let subject = about(Action::SECRET_DELETED, user, path);
        let (user, path) = (user.clone(), path.to_owned());
        let (revoked, ended) = self
            .run("delete_secret", subject, move |tx| {
                live_user(tx, &user)?;
                delete(tx, &user, project.as_deref(), &path, &reason)
            })
            .await?;
        for approval in ended {
            self.settled(&approval);
        }
        Ok(revoked)
    }
}

fn store_value(
    tx: &mut Tx<'_>,
    vault: &Vault,
    user: &User,
    put: &PutSecret,
    id: SecretId,
) -> Result<SecretRecord, Stop> {
    let project = project_in_use(tx, user, put.project.as_deref())?;
    let path = parse_path(&put.path)?;
    check_description(put.description.as_deref())?;
    let now = tx.now().wall;
    let found = tx.secret_at(project.id, &path)?;
    check_version(found.as_ref(), put.expected_version, &path)?;
    let is_new = found.is_none();
    let mut secret = found.unwrap_or_else(|| SecretRecord {
        id,
        project: project.id,
        path,
        description: String::new(),
        version: 0,
        created_at: now,
        updated_at: now,
        updated_by: String::new(),
        deleted_at: None,
        purged_at: None,
        upkeep: Upkeep::default(),
        value: ValueRecord::default(),
    });
    let value = ValueRecord {
        bytes: u64::try_from(put.value.len()).unwrap_or(u64::MAX),
        ..ValueRecord::default()
    };
    next_version(&mut secret, value, &user.name, now);
    if let Some(description) = &put.description {
        secret.description = escape_untrusted(description).text;
    }
    let place = Place::secret(secret.project, secret.id, secret.version);
    let sealed = vault.seal(&place, &put.value).map_err(|_| Refused::internal())?;
    if is_new {
        tx.insert_secret(&secret)?;
    } else {
        tx.save_secret(&secret)?;
    }
    tx.insert_secret_version(&secret, sealed.as_bytes())?;
    let entry = entries::by_user(Action::SECRET_PUT, user)
        .project(project.name.as_str())
        .resource(&secret.resource())
        .detail("version", secret.version)
        .detail("bytes", put.value.len());
    tx.append(&entry)?;
    Ok(secret)
}

fn delete(
    tx: &mut Tx<'_>,
    user: &User,
    project: Option<&str>,
    path: &str,
    reason: &str,
) -> Result<(u32, Vec<Approval>), Stop> {
    let (project, mut secret) = find(tx, user, project, path)?;
    let entry = entries::by_user(Action::SECRET_DELETED, user).project(project.name.as_str());
    tx.append(
        &entry
            .resource(&secret.resource())
            .detail("version", secret.version)
            .detail("reason", escape_untrusted(reason).text),
    )?;
    let entry = entries::by_user(Action::LEASE_REVOKED, user);
    end_secret(tx, &mut secret, &user.name, &entry)
}

fn find(
    reader: &Reader<'_>,
    user: &User,
    project: Option<&str>,
    path: &str,
) -> Result<(Project, SecretRecord), Stop> {
    let project = project_or_default(reader, user, project)?;
    let path = parse_path(path)?;
    match reader.secret_at(project.id, &path)? {
        Some(secret) => Ok((project, secret)),
        None => Err(not_found(&path).into()),
    }
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

fn check_description(description: Option<&str>) -> Result<(), Refused> {
    let length = description.map_or(0, |text| text.chars().count());
    if length <= DESCRIPTION_CHARS_MAX {
        return Ok(());
    }
    Err(Refused::invalid(
        format!("the description has {length} characters, and {DESCRIPTION_CHARS_MAX} is the most"),
        "Say it more briefly.",
    ))
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
