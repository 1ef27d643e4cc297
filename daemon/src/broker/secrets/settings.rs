//! What is said of a secret besides its value.

use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::UserId;
use vouchsafe_core::project::Project;
use vouchsafe_core::secret::{DESCRIPTION_CHARS_MAX, UpkeepError, next_reminder};
use vouchsafe_core::text::{echo, escape_untrusted};
use vouchsafe_core::time::UnixTime;

use super::{about, find_in, not_generated};
use crate::broker::doors::live_user;
use crate::broker::setup::project_in_use;
use crate::broker::{
    Broker, Code, Refused, SecretRecord, SecretSettings, SecretView, Stop, entries,
};
use crate::store::Reader;

impl Broker {
    /// Changes what is said of a secret, not its value.
    pub async fn update_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
        settings: SecretSettings,
    ) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_UPDATED, user, path);
        let (user, path) = (user.clone(), path.to_owned());
        let saved = self.run("update_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, project.as_deref())?;
            let mut secret = find_in(tx, &project, &path)?;
            apply(tx, &mut secret, &settings, tx.now().wall)?;
            tx.save_secret(&secret)?;
            let entry = entries::by_user(Action::SECRET_UPDATED, &user);
            tx.append(&said(of(entry, &project, &secret), &settings, &secret))?;
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }
}

/// Changes what is said of a secret, whose next version is in place already.
pub(super) fn apply(
    reader: &Reader<'_>,
    secret: &mut SecretRecord,
    settings: &SecretSettings,
    now: UnixTime,
) -> Result<(), Stop> {
    if let Some(description) = &settings.description {
        check_description(description)?;
        secret.description = escape_untrusted(description).text;
    }
    let upkeep = &mut secret.upkeep;
    for name in &settings.remove_labels {
        upkeep.labels.remove(name);
    }
    for (name, value) in &settings.labels {
        upkeep.labels.set(name, value).map_err(|error| bad_label(&error))?;
    }
    match &settings.owner {
        Some(Some(owner)) => upkeep.owner = Some(owner_id(reader, owner)?),
        Some(None) => upkeep.owner = None,
        None => {}
    }
    if let Some(expires_at) = settings.expires_at {
        upkeep.expires_at = expires_at;
        // Whoever sets the date knows it today.
        upkeep.remind_at = expires_at.and_then(|date| next_reminder(date, Some(now)));
    }
    if let Some(schedule) = &settings.rotate_every {
        if schedule.is_some() && secret.value.generator.is_none() {
            return Err(not_generated(&secret.path).into());
        }
        upkeep.rotate_at = schedule.as_ref().and_then(|schedule| schedule.after(now));
        upkeep.rotate_every.clone_from(schedule);
    }
    Ok(())
}

/// What an entry about a secret names.
pub(super) fn of(entry: Entry, project: &Project, secret: &SecretRecord) -> Entry {
    entry.project(project.name.as_str()).resource(&secret.resource())
}

/// What an entry says of changed settings. Descriptions and labels go with the secret when it is
/// purged, and the log stays: so it says that they were changed, and not to what.
pub(super) fn said(entry: Entry, settings: &SecretSettings, secret: &SecretRecord) -> Entry {
    let labels = !settings.labels.is_empty() || !settings.remove_labels.is_empty();
    let changed: Vec<_> = [
        ("description", settings.description.is_some()),
        ("labels", labels),
        ("owner", settings.owner.is_some()),
        ("expires_at", settings.expires_at.is_some()),
        ("rotate_every", settings.rotate_every.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is)| is.then_some(name))
    .collect();
    if changed.is_empty() {
        return entry;
    }
    let mut entry = entry.detail("changed", changed);
    if let Some(Some(owner)) = &settings.owner {
        entry = entry.detail("owner", owner.as_str());
    }
    if let (Some(_), Some(date)) = (settings.expires_at, secret.upkeep.expires_at) {
        entry = entry.detail("expires_at", date.rfc3339());
    }
    if let (Some(_), Some(schedule)) = (&settings.rotate_every, &secret.upkeep.rotate_every) {
        entry = entry.detail("rotate_every", schedule.as_str());
    }
    entry
}

fn check_description(description: &str) -> Result<(), Refused> {
    let length = description.chars().count();
    if length <= DESCRIPTION_CHARS_MAX {
        return Ok(());
    }
    Err(Refused::invalid(
        format!("the description has {length} characters, and {DESCRIPTION_CHARS_MAX} is the most"),
        "Say it more briefly.",
    ))
}

fn bad_label(error: &UpkeepError) -> Refused {
    let next = match error {
        UpkeepError::TooManyLabels => "Take one away first.",
        _ => "Write it as team=payments.",
    };
    Refused::invalid(error.to_string(), next)
}

fn owner_id(reader: &Reader<'_>, name: &str) -> Result<UserId, Stop> {
    match reader.user_named(name)? {
        Some(user) if user.enabled => Ok(user.id),
        _ => Err(Refused::new(
            Code::UserNotFound,
            format!("there is no enabled user `{}` to own the secret", echo(name, 64)),
            "`vouchsafe users list` shows who there is.",
        )
        .into()),
    }
}
