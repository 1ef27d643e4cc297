//! Secrets that are deleted, and taken back while that can be.

use std::time::Duration;

use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;
use vouchsafe_core::project::Project;
use vouchsafe_core::resource::SecretPath;
use vouchsafe_core::secret::next_reminder;
use vouchsafe_core::text::{echo, escape_untrusted};
use vouchsafe_core::time::UnixTime;

use super::settings::of;
use super::{about, end_secret, find, parse_path, purge_at};
use crate::broker::doors::live_user;
use crate::broker::setup::project_in_use;
use crate::broker::{
    Broker, Code, DeletedSecret, Refused, SecretRecord, SecretView, Stop, entries,
};
use crate::store::Tx;

const LIST: &str = "`vouchsafe secrets list --deleted` shows which can be taken back.";

impl Broker {
    /// Deletes a secret: its leases end, and asks for it expire. Its values stay, sealed, until it
    /// is purged.
    pub async fn delete_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
        reason: String,
    ) -> Result<DeletedSecret, Refused> {
        let subject = about(Action::SECRET_DELETED, user, path);
        let (user, path) = (user.clone(), path.to_owned());
        let undelete_for = self.inner.settings.undelete_for;
        let (deleted, ended) = self
            .run("delete_secret", subject, move |tx| {
                live_user(tx, &user)?;
                let (leases_revoked, ended) =
                    delete(tx, &user, project.as_deref(), &path, &reason)?;
                let purge_at = purge_at(tx.now().wall, undelete_for);
                Ok((DeletedSecret { leases_revoked, purge_at }, ended))
            })
            .await?;
        for approval in ended {
            self.settled(&approval);
        }
        Ok(deleted)
    }

    /// Takes a deleted secret back: the last one that was at the path, or the one of that id. Its
    /// leases stay ended.
    pub async fn undelete_secret(
        &self,
        user: &User,
        project: Option<String>,
        path: &str,
        id: Option<String>,
    ) -> Result<SecretView, Refused> {
        let subject = about(Action::SECRET_UNDELETED, user, path);
        let (user, path) = (user.clone(), path.to_owned());
        let undelete_for = self.inner.settings.undelete_for;
        let saved = self.run("undelete_secret", subject, move |tx| {
            live_user(tx, &user)?;
            let project = project_in_use(tx, &user, project.as_deref())?;
            let path = parse_path(&path)?;
            let mut secret = deleted(tx, &project, &path, id.as_deref(), undelete_for)?;
            if let Some(live) = tx.secret_at(project.id, &path)? {
                return Err(taken(&live).into());
            }
            let now = tx.now().wall;
            secret.deleted_at = None;
            let upkeep = &mut secret.upkeep;
            // What was due meanwhile is not made up for.
            upkeep.remind_at = upkeep.expires_at.and_then(|date| next_reminder(date, Some(now)));
            upkeep.rotate_at = upkeep.rotate_every.as_ref().and_then(|every| every.after(now));
            tx.save_secret(&secret)?;
            let entry = of(entries::by_user(Action::SECRET_UNDELETED, &user), &project, &secret);
            tx.append(&entry.detail("version", secret.version))?;
            Ok((project, secret))
        });
        self.secret_view(saved.await?).await
    }
}

fn delete(
    tx: &mut Tx<'_>,
    user: &User,
    project: Option<&str>,
    path: &str,
    reason: &str,
) -> Result<(u32, Vec<Approval>), Stop> {
    let (project, mut secret) = find(tx, user, project, path)?;
    let entry = of(entries::by_user(Action::SECRET_DELETED, user), &project, &secret);
    tx.append(
        &entry.detail("version", secret.version).detail("reason", escape_untrusted(reason).text),
    )?;
    let entry = entries::by_user(Action::LEASE_REVOKED, user);
    end_secret(tx, &mut secret, &user.name, &entry)
}

/// The deleted secret that is meant, while it can be taken back.
fn deleted(
    tx: &Tx<'_>,
    project: &Project,
    path: &SecretPath,
    id: Option<&str>,
    undelete_for: Duration,
) -> Result<SecretRecord, Stop> {
    let id = id.map(parse_id).transpose()?;
    let found = tx.secrets_deleted_at(project.id, path)?;
    let found = found.into_iter().find(|secret| id.is_none_or(|id| secret.id == id));
    let secret = found.ok_or_else(|| {
        let which = id.map(|id| format!(" with the id {id}")).unwrap_or_default();
        Refused::new(Code::SecretNotFound, format!("no deleted secret{which} was at {path}"), LIST)
    })?;
    let until = secret.deleted_at.map(|deleted| purge_at(deleted, undelete_for));
    match until {
        Some(until) if secret.purged_at.is_none() && tx.now().wall < until => Ok(secret),
        _ => Err(too_late(&secret, until).into()),
    }
}

fn parse_id(id: &str) -> Result<SecretId, Refused> {
    id.parse().map_err(|_| {
        let message = format!("`{}` is not the id of a secret", echo(id, 40));
        Refused::invalid(message, LIST)
    })
}

/// The time to take it back is over, whether or not its values are wiped yet.
fn too_late(secret: &SecretRecord, until: Option<UnixTime>) -> Refused {
    let until = secret.purged_at.or(until).unwrap_or(secret.updated_at);
    Refused::new(
        Code::SecretNotFound,
        format!("the secret {} that was deleted is purged since {until}", secret.path),
        "Its values are gone for good: put it again.",
    )
}

fn taken(live: &SecretRecord) -> Refused {
    let path = &live.path;
    Refused::new(
        Code::PathTaken,
        format!("there is a secret {path} again, at version {}", live.version),
        format!("Delete that one first: `vouchsafe secrets delete {path}`."),
    )
}
