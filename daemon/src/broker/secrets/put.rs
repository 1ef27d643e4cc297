//! Values that people give, and earlier ones again.

use std::sync::Arc;

use vouchsafe_core::approval::{Applied, Approval, Approved};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;
use vouchsafe_core::project::Project;
use vouchsafe_core::secret::SecretBytes;

use super::settings::{apply, of, said};
use super::{about, check_version, find_in, parse_path};
use crate::broker::approvals::find_covered;
use crate::broker::doors::live_user;
use crate::broker::secrets::next_version;
use crate::broker::setup::project_in_use;
use crate::broker::{
    Broker, Code, PutSecret, PutValue, Refused, SecretRecord, SecretSettings, SecretView, Stop,
    cause, entries, random,
};
use crate::store::{Origin, Tx, ValueRecord, VersionRecord};
use crate::vault::{Place, Sealed, Vault, VaultError};

/// A version on its way into the store.
pub(super) struct Writing<'a> {
    pub(super) vault: &'a Vault,
    pub(super) by: &'a str,
    pub(super) settings: &'a SecretSettings,
}

/// Where a sealed value is now.
struct Kept {
    place: Place,
    sealed: Sealed,
}

impl Broker {
    /// Makes a secret, or a new version of it: then leases on the version before release nothing,
    /// unless their rule follows rotations.
    pub async fn put_secret(&self, user: &User, put: PutSecret) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_PUT, user, &put.path);
        let id = SecretId::from_random(random()?);
        let vault = Arc::clone(&self.inner.vault);
        let user = user.clone();
        let saved = self.run("put_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, put.project.as_deref())?;
            let secret = match &put.value {
                PutValue::Given(value) => give(tx, &vault, &user, &put, (&project, id), value)?,
                PutValue::Proposed { approval } => {
                    take(tx, &vault, &user, &put, (&project, id), approval)?
                }
            };
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }

    /// Makes an earlier version's value the newest version. It is sealed anew, unseen.
    pub async fn roll_back_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
        to: u64,
    ) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_ROLLED_BACK, user, path);
        let (user, path) = (user.clone(), path.to_owned());
        let vault = Arc::clone(&self.inner.vault);
        let saved = self.run("roll_back_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, project.as_deref())?;
            let mut secret = find_in(tx, &project, &path)?;
            let (version, kept) = earlier(tx, &secret, to)?;
            let value = ValueRecord { origin: Origin::RolledBack, approval: None, ..version.value };
            let settings = SecretSettings::default();
            let writing = Writing { vault: &vault, by: &user.name, settings: &settings };
            writing.moved(tx, &mut secret, value, &kept)?;
            let entry = of(entries::by_user(Action::SECRET_ROLLED_BACK, &user), &project, &secret);
            tx.append(&entry.detail("version", secret.version).detail("from", to))?;
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }
}

impl Writing<'_> {
    /// Stores a value as the next version of a secret, and what is said of it.
    pub(super) fn sealed(
        &self,
        tx: &mut Tx<'_>,
        secret: &mut SecretRecord,
        record: ValueRecord,
        value: &SecretBytes,
    ) -> Result<(), Stop> {
        self.store(tx, secret, record, |place| self.vault.seal(place, value))
    }

    /// Stores a value that is sealed elsewhere as the next version of a secret.
    fn moved(
        &self,
        tx: &mut Tx<'_>,
        secret: &mut SecretRecord,
        record: ValueRecord,
        kept: &Kept,
    ) -> Result<(), Stop> {
        self.store(tx, secret, record, |place| self.vault.moved(&kept.place, place, &kept.sealed))
    }

    fn store(
        &self,
        tx: &mut Tx<'_>,
        secret: &mut SecretRecord,
        record: ValueRecord,
        seal: impl FnOnce(&Place) -> Result<Sealed, VaultError>,
    ) -> Result<(), Stop> {
        let (is_new, now) = (secret.version == 0, tx.now().wall);
        next_version(secret, record, self.by, now);
        apply(tx, secret, self.settings, now)?;
        let place = Place::secret(secret.project, secret.id, secret.version);
        let sealed = seal(&place).map_err(|error| {
            tracing::error!(error = cause(&error), secret = %secret.id, "a value was not sealed");
            Refused::internal()
        })?;
        if is_new {
            tx.insert_secret(secret)?;
        } else {
            tx.save_secret(secret)?;
        }
        tx.insert_secret_version(secret, sealed.as_bytes())?;
        Ok(())
    }
}

/// What is known of a value that somebody gives.
pub(super) fn given(value: &SecretBytes, origin: Origin) -> ValueRecord {
    let bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
    ValueRecord { bytes, origin, ..ValueRecord::default() }
}

/// The secret at a path, or a new one with this id; refused where it is not at the version that is
/// expected.
pub(super) fn find_or_new(
    tx: &Tx<'_>,
    (project, id): (&Project, SecretId),
    path: &str,
    expected: Option<u64>,
) -> Result<SecretRecord, Stop> {
    let path = parse_path(path)?;
    let found = tx.secret_at(project.id, &path)?;
    check_version(found.as_ref(), expected, &path)?;
    Ok(found.unwrap_or_else(|| SecretRecord::new(id, project.id, path, tx.now().wall)))
}

fn give(
    tx: &mut Tx<'_>,
    vault: &Vault,
    user: &User,
    put: &PutSecret,
    (project, id): (&Project, SecretId),
    value: &SecretBytes,
) -> Result<SecretRecord, Stop> {
    let mut secret = find_or_new(tx, (project, id), &put.path, put.expected_version)?;
    let writing = Writing { vault, by: &user.name, settings: &put.settings };
    writing.sealed(tx, &mut secret, given(value, Origin::Put), value)?;
    let entry = stored(entries::by_user(Action::SECRET_PUT, user), project, &secret);
    tx.append(&said(entry, &put.settings, &secret))?;
    Ok(secret)
}

/// Stores what an agent proposed, and people approved, in spite of what has come between.
fn take(
    tx: &mut Tx<'_>,
    vault: &Vault,
    user: &User,
    put: &PutSecret,
    (project, id): (&Project, SecretId),
    approval: &str,
) -> Result<SecretRecord, Stop> {
    let mut secret = find_or_new(tx, (project, id), &put.path, put.expected_version)?;
    let approved = conflicted(find_covered(tx, &user.reach, approval)?)?;
    let ask = &approved.ask;
    let is_about = approved.changes() == Some(&secret.path) && ask.project == project.id;
    let change = ask.change.as_ref().filter(|_| is_about);
    let proposed = change.and_then(|change| change.proposed()).ok_or_else(|| {
        Refused::invalid(
            format!("{} does not propose a value for {}", ask.id, secret.path),
            format!("`vouchsafe approvals show {}` shows what it is about.", ask.id),
        )
    })?;
    let sealed = tx.proposal(ask.id)?;
    let stored_as = tx.version_proposed_in(secret.id, ask.id)?;
    let sealed = sealed.ok_or_else(|| match stored_as {
        Some(version) => Refused::new(
            Code::AlreadyExists,
            format!("the value proposed in {} is stored already, as version {version}", ask.id),
            format!("`vouchsafe secrets versions {}` shows it.", secret.path),
        ),
        None => Refused::new(
            Code::ApprovalExpired,
            format!("the value that was proposed in {} was kept for a while and is wiped", ask.id),
            "Have the agent propose it again.",
        ),
    })?;
    let value = ValueRecord {
        bytes: proposed.facts.bytes,
        origin: Origin::Proposed,
        generator: proposed.facts.generator.clone(),
        public_key: proposed.public_key.clone(),
        approval: Some(ask.id),
    };
    // What it was to be called from then on was approved with it.
    let described = change.and_then(|change| change.description.clone());
    let description = put.settings.description.clone().or(described);
    let settings = SecretSettings { description, ..put.settings.clone() };
    let place = Place::proposal(ask.project, ask.id);
    let kept = Kept { place, sealed: Sealed::from_bytes(sealed) };
    let writing = Writing { vault, by: &user.name, settings: &settings };
    writing.moved(tx, &mut secret, value, &kept)?;
    tx.drop_proposal(ask.id)?;
    let entry = stored(entries::by_user(Action::SECRET_PUT, user), project, &secret);
    tx.append(&said(entry.approval(ask.id), &settings, &secret))?;
    Ok(secret)
}

/// An approval whose change was not made because the secret had moved on.
fn conflicted(approval: Approval) -> Result<Approved, Refused> {
    let id = approval.ask().id;
    match approval {
        Approval::Approved(approved)
            if matches!(approved.applied, Some(Applied::Conflict { .. })) =>
        {
            Ok(approved)
        }
        other => Err(Refused::invalid(
            format!(
                "{id} is {}, and holds no value that is still to be put",
                other.status().as_str()
            ),
            "Only what was approved and met a secret that had changed can be put so.",
        )),
    }
}

/// The version to go back to, and its sealed value.
fn earlier(tx: &Tx<'_>, secret: &SecretRecord, to: u64) -> Result<(VersionRecord, Kept), Stop> {
    let path = &secret.path;
    let look = format!("`vouchsafe secrets versions {path}` shows which there are.");
    if to == secret.version {
        let message = format!("{path} is at version {to} already");
        return Err(Refused::invalid(message, look).into());
    }
    let version = tx.secret_version(secret, to)?.ok_or_else(|| {
        Refused::new(
            Code::SecretNotFound,
            format!("{path} has no version {to}; it is at {}", secret.version),
            look.clone(),
        )
    })?;
    let sealed = tx.sealed_value(secret.id, to)?.filter(|_| !version.wiped).ok_or_else(|| {
        Refused::new(
            Code::SecretNotFound,
            format!("the value of version {to} of {path} is wiped: only the newest are kept"),
            look,
        )
    })?;
    let place = Place::secret(secret.project, secret.id, to);
    Ok((version, Kept { place, sealed: Sealed::from_bytes(sealed) }))
}

/// What the log says of a version that was stored.
pub(super) fn stored(entry: Entry, project: &Project, secret: &SecretRecord) -> Entry {
    let entry = of(entry, project, secret)
        .detail("version", secret.version)
        .detail("bytes", secret.value.bytes);
    match &secret.value.generator {
        Some(generator) => entry.detail("generator", generator.to_string()),
        None => entry,
    }
}
