//! MCP keys: made, changed, and taken away.

use vouchsafe_core::approval::{Approval, ExpiryCause};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::{ApprovalId, KeyId};
use vouchsafe_core::key::{Key, KeyName, KeyNameError, KeySettings, Scope, Scopes};
use vouchsafe_core::project::Project;
use vouchsafe_core::text::{echo, escape_untrusted};
use vouchsafe_core::time::UnixTime;
use vouchsafe_core::token::{Token, TokenKind};

use super::asks::save_settled;
use super::doors::live_user;
use super::leases::revoke;
use super::paging::by_name;
use super::sessions::{Sessions, end_sessions};
use super::setup::{new_token, project_in_use, project_or_default};
use super::{
    Broker, Code, DeletedKey, KeyChange, KeyView, NewKey, Page, Paged, Refused, Stop, entries,
    random,
};
use crate::store::{KeyRecord, Reader, Tx};

/// What a change of a key came to inside its transaction.
struct Changed {
    record: KeyRecord,
    /// Asks that ended with it.
    ended: Vec<Approval>,
    /// Asks whose waiting calls may not wait any longer.
    waiting: Vec<ApprovalId>,
}

impl Changed {
    fn only(record: KeyRecord) -> Self {
        Self { record, ended: Vec::new(), waiting: Vec::new() }
    }
}

impl Broker {
    /// A new key. Its value is in the answer and nowhere else.
    pub async fn create_key(&self, user: &User, new: NewKey) -> Result<(KeyView, Token), Refused> {
        let token = new_token(TokenKind::Mcp)?;
        let hash = self.token_hash(&token);
        let id = KeyId::from_random(random()?);
        let subject = entries::by_user(Action::KEY_CREATED, user);
        let user = user.clone();
        let record = self.run("create_key", subject, move |tx| {
            live_user(tx, &user)?;
            let (project, record) = draft(tx, &user, &new, id)?;
            tx.insert_key(&record.key, &hash)?;
            let entry = entries::by_user(Action::KEY_CREATED, &user);
            tx.append(&about(entry, &project, &record))?;
            Ok(record)
        });
        let view = self.key_view(record.await?).await?;
        Ok((view, token))
    }

    /// Keys by name.
    pub async fn list_keys(
        &self,
        user: &User,
        project: Option<String>,
        page: Page,
    ) -> Result<Paged<KeyView>, Refused> {
        let user = user.clone();
        let found = self.look("list_keys", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, &user, project.as_deref())?;
            by_name(
                &page,
                |after, limit| Ok(reader.keys_after(project.id, after, limit)?),
                |record| record.key.name.to_string(),
                |record| Ok(Some(record)),
            )
        });
        let found = found.await?;
        let ids: Vec<_> = found.items.iter().map(|record| record.key.id).collect();
        self.load_windows(&ids, &self.now()).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for record in found.items {
            items.push(self.key_view(record).await?);
        }
        Ok(Paged { items, next: found.next })
    }

    /// One key.
    pub async fn show_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<KeyView, Refused> {
        let (user, name) = (user.clone(), name.to_owned());
        let found = self.look("show_key", move |reader| {
            live_user(reader, &user)?;
            Ok(find(reader, &user, project.as_deref(), &name)?.1)
        });
        self.key_view(found.await?).await
    }

    /// Changes what a key may do, how far it goes, or its owner. Whose answer counts goes by the
    /// owner, so with another one what is pending and what was remembered ends.
    pub async fn update_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        change: KeyChange,
    ) -> Result<KeyView, Refused> {
        let by = user.clone();
        self.change_key(Action::KEY_UPDATED, user, project, name, move |tx, project, mut record| {
            let before = record.key.owner;
            apply(tx, project, &mut record, &change)?;
            if record.key.owner == before {
                // A call that waits may be past the key's new end.
                let waiting = waiting(tx, record.key.id)?;
                return Ok(Changed { record, ended: Vec::new(), waiting });
            }
            let key = record.key.id;
            end_sessions(tx, Sessions::Key(key), &by, Some("the key has another owner"))?;
            let ended = end_asks(tx, &record.key)?;
            Ok(Changed { record, ended, waiting: Vec::new() })
        })
        .await
    }

    /// Lets a key in again.
    pub async fn enable_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<KeyView, Refused> {
        self.change_key(Action::KEY_ENABLED, user, project, name, |_, _, mut record| {
            record.key.enabled = true;
            Ok(Changed::only(record))
        })
        .await
    }

    /// Shuts a key out; once this has answered, it opens nothing, and calls that wait for people
    /// have been turned away. Its leases stay for when it is enabled again, and run out as they
    /// would; what people approved for a session ends.
    pub async fn disable_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        reason: String,
    ) -> Result<KeyView, Refused> {
        let subject = entries::by_user(Action::KEY_DISABLED, user);
        let (user, name) = (user.clone(), name.to_owned());
        let changed = self.run_essential("disable_key", subject, move |tx| {
            live_user(tx, &user)?;
            let (project, mut record) = find(tx, &user, project.as_deref(), &name)?;
            record.key.enabled = false;
            tx.save_key(&record.key)?;
            let entry = entries::by_user(Action::KEY_DISABLED, &user);
            let entry = entry.detail("reason", escape_untrusted(&reason).text);
            tx.append(&about(entry, &project, &record))?;
            shut_out(tx, &user, record, "the key was disabled")
        });
        self.changed(changed.await?).await
    }

    /// A new value for a key; once this has answered, the old one opens nothing, and calls that it
    /// made and that wait for people have been turned away.
    pub async fn regenerate_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<(KeyView, Token), Refused> {
        let token = new_token(TokenKind::Mcp)?;
        let hash = self.token_hash(&token);
        let by = user.clone();
        let change = move |tx: &mut Tx<'_>, _: &Project, mut record: KeyRecord| {
            tx.save_key_token(record.key.id, &hash)?;
            record.key.generation = record.key.generation.saturating_add(1);
            shut_out(tx, &by, record, "the key was regenerated")
        };
        let view = self.change_key(Action::KEY_REGENERATED, user, project, name, change).await?;
        Ok((view, token))
    }

    /// Deletes a key: its leases and sessions end and its asks are withdrawn with it.
    pub async fn delete_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        reason: String,
    ) -> Result<DeletedKey, Refused> {
        let subject = entries::by_user(Action::KEY_DELETED, user);
        let (user, name) = (user.clone(), name.to_owned());
        let (deleted, ended) = self
            .run("delete_key", subject, move |tx| {
                live_user(tx, &user)?;
                delete(tx, &user, project.as_deref(), &name, &reason)
            })
            .await?;
        for approval in ended {
            self.settled(&approval);
        }
        Ok(deleted)
    }

    async fn change_key<F>(
        &self,
        action: Action,
        user: &User,
        project: Option<String>,
        name: &str,
        change: F,
    ) -> Result<KeyView, Refused>
    where
        F: Fn(&mut Tx<'_>, &Project, KeyRecord) -> Result<Changed, Stop> + Send + 'static,
    {
        let subject = entries::by_user(action, user);
        let (user, name) = (user.clone(), name.to_owned());
        let changed = self.run("change_key", subject, move |tx| {
            live_user(tx, &user)?;
            let (project, record) = find(tx, &user, project.as_deref(), &name)?;
            let changed = change(tx, &project, record)?;
            tx.save_key(&changed.record.key)?;
            let entry = entries::by_user(action, &user);
            tx.append(&about(entry, &project, &changed.record))?;
            Ok(changed)
        });
        self.changed(changed.await?).await
    }

    /// Tells whoever waits, and shows the key as it is now.
    async fn changed(&self, changed: Changed) -> Result<KeyView, Refused> {
        for approval in &changed.ended {
            self.settled(approval);
        }
        for approval in changed.waiting {
            self.inner.wakes.nudge(approval);
        }
        self.key_view(changed.record).await
    }

    async fn key_view(&self, record: KeyRecord) -> Result<KeyView, Refused> {
        let KeyRecord { key, project_name, owner_name, archived: _ } = record;
        let usage = self.key_usage(&key).await?;
        let expired = key.expired(self.now().wall);
        Ok(KeyView { key, project_name, owner_name, expired, usage })
    }
}

pub(super) fn not_found(name: &str) -> Refused {
    Refused::new(
        Code::KeyNotFound,
        format!("there is no key `{}`", echo(name, 40)),
        "`vouchsafe keys list` shows which there are.",
    )
}

/// Ends a key's leases and asks, for good. Answers with what ended.
pub(super) fn end_all(
    tx: &mut Tx<'_>,
    user: &User,
    key: KeyId,
    why: &str,
) -> Result<(usize, Vec<Approval>), Stop> {
    let leases = tx.active_leases_of(key)?;
    let entry = entries::by_user(Action::LEASE_REVOKED, user);
    let revoked = revoke(tx, leases, &user.name, Some(why), &entry)?;
    let mut ended = Vec::new();
    for pending in tx.pending_approvals_of(key)? {
        let approval = pending.withdraw(user.name.as_str(), tx.now());
        save_settled(tx, &approval, Action::APPROVAL_WITHDRAWN)?;
        ended.push(approval);
    }
    Ok((revoked.len(), ended))
}

/// A new key, checked and not stored.
fn draft(
    reader: &Tx<'_>,
    user: &User,
    new: &NewKey,
    id: KeyId,
) -> Result<(Project, KeyRecord), Stop> {
    let project = project_in_use(reader, user, new.project.as_deref())?;
    let name: KeyName = new.name.parse().map_err(|error: KeyNameError| {
        Refused::invalid(error.to_string(), "Choose a name such as claude-desktop.")
    })?;
    if reader.key_named(project.id, name.as_str())?.is_some() {
        return Err(Refused::new(
            Code::AlreadyExists,
            format!("there is a key `{name}` already"),
            format!("Choose another name, or `vouchsafe keys regenerate {name}`."),
        )
        .into());
    }
    let now = reader.now().wall;
    check_settings(&new.settings, &project)?;
    check_expiry(new.settings.expires_at, now)?;
    let owner_name = new.owner.clone().unwrap_or_else(|| user.name.clone());
    let key = Key {
        id,
        project: project.id,
        name,
        owner: owner_id(reader, &owner_name)?,
        scopes: parse_scopes(&new.scopes)?,
        settings: new.settings.clone(),
        enabled: true,
        generation: 1,
        revision: 1,
        created_at: now,
        last_used_at: None,
    };
    let project_name = project.name.to_string();
    Ok((project, KeyRecord { key, project_name, owner_name, archived: false }))
}

fn apply(
    tx: &Tx<'_>,
    project: &Project,
    record: &mut KeyRecord,
    change: &KeyChange,
) -> Result<(), Stop> {
    let key = &mut record.key;
    if !change.scopes.is_empty() {
        key.scopes = parse_scopes(&change.scopes)?;
    }
    if let Some(owner) = change.owner.as_ref().filter(|owner| !owner.is_empty()) {
        key.owner = owner_id(tx, owner)?;
        owner.clone_into(&mut record.owner_name);
    }
    let KeySettings { level, session, tools, rate, monthly, expires_at } = &mut key.settings;
    *level = change.level.unwrap_or(*level);
    *session = change.session.unwrap_or(*session);
    *rate = change.rate.unwrap_or(*rate);
    *monthly = change.monthly.unwrap_or(*monthly);
    *expires_at = change.expires_at.unwrap_or(*expires_at);
    if let Some(given) = &change.tools {
        tools.clone_from(given);
    }
    if change.monthly.is_some() {
        check_settings(&key.settings, project)?;
    }
    Ok(check_expiry(change.expires_at.flatten(), tx.now().wall)?)
}

/// What a key is given is within what its project has.
fn check_settings(settings: &KeySettings, project: &Project) -> Result<(), Refused> {
    match (settings.monthly, project.monthly) {
        (Some(0), _) => Err(Refused::invalid(
            "a key without any call a month could do nothing",
            "Disable the key instead, or give 1 or more.",
        )),
        (Some(wanted), Some(most)) if wanted > most => Err(Refused::invalid(
            format!(
                "{wanted} calls a month are more than the project `{}` has, which is {most}",
                project.name
            ),
            format!("Give {most} or less, or raise the project's limit first."),
        )),
        _ => Ok(()),
    }
}

fn check_expiry(expires_at: Option<UnixTime>, now: UnixTime) -> Result<(), Refused> {
    match expires_at {
        Some(at) if at <= now => Err(Refused::invalid(
            format!("the key would have expired at {at} already"),
            "Give a time to come, such as 30d; `vouchsafe keys disable` shuts a key out at once.",
        )),
        _ => Ok(()),
    }
}

/// What goes on under a key ends, though the key stays: what was remembered, and calls that wait.
fn shut_out(tx: &mut Tx<'_>, user: &User, record: KeyRecord, why: &str) -> Result<Changed, Stop> {
    end_sessions(tx, Sessions::Key(record.key.id), user, Some(why))?;
    let waiting = waiting(tx, record.key.id)?;
    Ok(Changed { record, ended: Vec::new(), waiting })
}

fn waiting(reader: &Reader<'_>, key: KeyId) -> Result<Vec<ApprovalId>, Stop> {
    let pending = reader.pending_approvals_of(key)?;
    Ok(pending.into_iter().map(|pending| pending.ask.id).collect())
}

fn delete(
    tx: &mut Tx<'_>,
    user: &User,
    project: Option<&str>,
    name: &str,
    reason: &str,
) -> Result<(DeletedKey, Vec<Approval>), Stop> {
    let (project, record) = find(tx, user, project, name)?;
    let key = record.key.id;
    tx.delete_key(key, tx.now().wall)?;
    let entry = entries::by_user(Action::KEY_DELETED, user);
    let entry = entry.detail("reason", escape_untrusted(reason).text);
    tx.append(&about(entry, &project, &record))?;
    end_sessions(tx, Sessions::Key(key), user, Some("the key was deleted"))?;
    let (revoked, ended) = end_all(tx, user, key, "the key was deleted")?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let deleted =
        DeletedKey { leases_revoked: count(revoked), approvals_withdrawn: count(ended.len()) };
    Ok((deleted, ended))
}

/// Ends what a key has asked for under another owner.
fn end_asks(tx: &mut Tx<'_>, key: &Key) -> Result<Vec<Approval>, Stop> {
    let mut ended = Vec::new();
    for pending in tx.pending_approvals_of(key.id)? {
        let approval = pending.cut_short(ExpiryCause::OwnerChanged, tx.now());
        save_settled(tx, &approval, Action::APPROVAL_EXPIRED)?;
        ended.push(approval);
    }
    Ok(ended)
}

fn find(
    reader: &Reader<'_>,
    user: &User,
    project: Option<&str>,
    name: &str,
) -> Result<(Project, KeyRecord), Stop> {
    let project = project_or_default(reader, user, project)?;
    let record = reader.key_named(project.id, name)?.ok_or_else(|| not_found(name))?;
    Ok((project, record))
}

fn owner_id(reader: &Reader<'_>, name: &str) -> Result<vouchsafe_core::id::UserId, Stop> {
    match reader.user_named(name)? {
        Some(user) if user.enabled => Ok(user.id),
        _ => Err(Refused::new(
            Code::UserNotFound,
            format!("there is no enabled user `{}` to own the key", echo(name, 64)),
            "`vouchsafe users list` shows who there is.",
        )
        .into()),
    }
}

fn parse_scopes(words: &[String]) -> Result<Scopes, Refused> {
    Scopes::parse(words.iter().map(String::as_str)).map_err(|_| {
        let all: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
        let unknown: Vec<_> = words
            .iter()
            .filter(|word| Scopes::parse([word.as_str()]).is_err())
            .map(|word| echo(word, 40))
            .collect();
        Refused::invalid(
            format!("there is no scope `{}`", unknown.join("`, `")),
            format!("The scopes are {}, mcp:read and mcp:full.", all.join(", ")),
        )
    })
}

/// What an entry about a key says of it: all that is set.
fn about(entry: Entry, project: &Project, record: &KeyRecord) -> Entry {
    let (key, settings) = (&record.key, &record.key.settings);
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    let mut entry = entry
        .project(project.name.as_str())
        .detail("key", key.name.as_str())
        .detail("key_id", key.id.to_string())
        .detail("owner", record.owner_name.as_str())
        .detail("scopes", scopes)
        .detail("level", settings.level.as_str())
        .detail("session_minutes", settings.session.minutes())
        .detail("tools", settings.tools.to_string())
        .detail("rate", settings.rate.per_minute())
        .detail("enabled", key.enabled);
    if let Some(monthly) = settings.monthly {
        entry = entry.detail("monthly", monthly);
    }
    if let Some(at) = settings.expires_at {
        entry = entry.detail("expires_at", at.rfc3339());
    }
    entry
}
