//! Values that are made here, for people and by schedules. Nobody sees them on the way.

use std::sync::Arc;

use vouchsafe_core::audit::{Action, Actor};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;
use vouchsafe_core::secret::Generator;

use super::put::{Writing, find_or_new, stored};
use super::settings::said;
use super::{about, find_in, not_generated};
use crate::broker::doors::live_user;
use crate::broker::setup::project_in_use;
use crate::broker::{
    Broker, Code, GenerateSecret, Refused, SecretRecord, SecretSettings, SecretView, cause,
    entries, random,
};
use crate::generate::{self, Made};
use crate::store::{Origin, ValueRecord};

impl Broker {
    /// Makes a secret, or a new version of it, with a value that nobody sees.
    pub async fn generate_secret(
        &self,
        user: &User,
        wanted: GenerateSecret,
    ) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_GENERATED, user, &wanted.path);
        let id = SecretId::from_random(random()?);
        let made = self.make_value(&wanted.generator).await?;
        let (user, vault) = (user.clone(), Arc::clone(&self.inner.vault));
        let saved = self.run("generate_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, wanted.project.as_deref())?;
            let expected = wanted.expected_version;
            let mut secret = find_or_new(tx, (&project, id), &wanted.path, expected)?;
            let record = record(&made, &wanted.generator, Origin::Generated);
            let writing = Writing { vault: &vault, by: &user.name, settings: &wanted.settings };
            writing.sealed(tx, &mut secret, record, &made.value)?;
            let entry = entries::by_user(Action::SECRET_GENERATED, &user);
            tx.append(&said(stored(entry, &project, &secret), &wanted.settings, &secret))?;
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }

    /// Makes a new value of the kind that the secret was generated as.
    pub async fn rotate_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
    ) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_ROTATED, user, path);
        let (by, name, at) = (user.clone(), project.clone(), path.to_owned());
        let found = self.look("rotate_secret", move |reader| {
            live_user(reader, &by)?;
            let project = project_in_use(reader, &by, name.as_deref())?;
            find_in(reader, &project, &at)
        });
        let found = found.await.and_then(|secret| match secret.value.generator.clone() {
            Some(generator) => Ok((secret, generator)),
            None => Err(not_generated(&secret.path)),
        });
        let (before, generator) = match found {
            Ok(found) => found,
            Err(refused) => return Err(self.refuse(subject, refused).await),
        };
        let made = self.make_value(&generator).await?;
        let (user, path) = (user.clone(), path.to_owned());
        let vault = Arc::clone(&self.inner.vault);
        let saved = self.run("rotate_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, project.as_deref())?;
            let mut secret = find_in(tx, &project, &path)?;
            check_same(&before, &secret)?;
            let settings = SecretSettings::default();
            let writing = Writing { vault: &vault, by: &user.name, settings: &settings };
            let record = record(&made, &generator, Origin::Rotated);
            writing.sealed(tx, &mut secret, record, &made.value)?;
            let entry = entries::by_user(Action::SECRET_ROTATED, &user);
            tx.append(&stored(entry, &project, &secret))?;
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }

    /// Rotates a secret whose schedule said so when `due` was read. What has been changed since is
    /// left alone: it is due again if it is.
    pub(super) async fn rotate_by_schedule(&self, due: SecretRecord) -> Result<(), Refused> {
        // A given value has no schedule.
        let Some(generator) = due.value.generator.clone() else { return Ok(()) };
        let subject = entries::by_system(Action::SECRET_ROTATED).resource(&due.resource());
        let made = self.make_value(&generator).await?;
        let vault = Arc::clone(&self.inner.vault);
        self.run("rotate_by_schedule", subject, move |tx| {
            let (secret, project) = (tx.secret(due.id)?, tx.project(due.project)?);
            let (Some(mut secret), Some(project)) = (secret, project) else { return Ok(()) };
            let is_due = secret.upkeep.rotate_at.is_some_and(|at| at <= tx.now().wall)
                && secret.deleted_at.is_none()
                && project.archived_at.is_none();
            if !is_due || check_same(&due, &secret).is_err() {
                return Ok(());
            }
            let settings = SecretSettings::default();
            let by = Actor::system();
            let writing = Writing { vault: &vault, by: by.name(), settings: &settings };
            let record = record(&made, &generator, Origin::Rotated);
            writing.sealed(tx, &mut secret, record, &made.value)?;
            let entry = stored(entries::by_system(Action::SECRET_ROTATED), &project, &secret);
            let schedule = secret.upkeep.rotate_every.as_ref().map(ToString::to_string);
            tx.append(&entry.detail("schedule", schedule))?;
            Ok(())
        })
        .await
    }

    /// Makes a value away from threads that others wait for, and few at once: an RSA key takes
    /// seconds of a processor, and agents may ask for many.
    pub(in crate::broker) async fn make_value(
        &self,
        generator: &Generator,
    ) -> Result<Made, Refused> {
        let places = Arc::clone(&self.inner.makers);
        // Never closed; without a place nothing is made.
        let place = places.acquire_owned().await.map_err(|_| Refused::internal())?;
        let generator = generator.clone();
        let making = move || {
            // Held until it is made, whether or not anybody waits for it by then.
            let _place = place;
            generate::make(&generator)
        };
        match tokio::task::spawn_blocking(making).await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => {
                tracing::error!(error = cause(&error), "no value was made");
                Err(Refused::internal())
            }
            Err(_) => Err(Refused::internal()),
        }
    }
}

/// What is known of a value that was made here.
fn record(made: &Made, generator: &Generator, origin: Origin) -> ValueRecord {
    ValueRecord {
        bytes: u64::try_from(made.value.len()).unwrap_or(u64::MAX),
        origin,
        generator: Some(generator.clone()),
        public_key: made.public_key.clone(),
        approval: None,
    }
}

/// A value is made for the secret as it was: another one may be there by now.
fn check_same(before: &SecretRecord, now: &SecretRecord) -> Result<(), Refused> {
    if (before.id, before.version) == (now.id, now.version) {
        return Ok(());
    }
    Err(Refused::new(
        Code::VersionConflict,
        format!("{} was changed while its new value was made", now.path),
        "Nothing was rotated. Run it again.",
    ))
}
