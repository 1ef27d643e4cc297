//! MCP keys: made, changed, and taken away.

use vouchsafe_core::approval::{Approval, ExpiryCause};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::KeyId;
use vouchsafe_core::key::{Key, KeyName, Scope, Scopes};
use vouchsafe_core::text::{echo, escape_untrusted};
use vouchsafe_core::token::{Token, TokenKind};

use super::asks::save_settled;
use super::doors::live_user;
use super::leases::revoke;
use super::paging::by_name;
use super::setup::{new_token, project_or_default};
use super::{Broker, Code, DeletedKey, KeyView, Page, Paged, Refused, Stop, entries, random};
use crate::store::{Reader, Tx};
use vouchsafe_core::project::Project;

impl Broker {
    /// A new key. Its value is in the answer and nowhere else.
    pub async fn create_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        scopes: &[String],
        owner: Option<String>,
    ) -> Result<(KeyView, Token), Refused> {
        let token = new_token(TokenKind::Mcp)?;
        let hash = self.token_hash(&token);
        let id = KeyId::from_random(random()?);
        let subject = entries::by_user(Action::KEY_CREATED, user);
        let (user, name, scopes) = (user.clone(), name.to_owned(), scopes.to_vec());
        let view = self
            .run("create_key", subject, move |tx| {
                live_user(tx, &user)?;
                let project = project_or_default(tx, project.as_deref())?;
                let name: KeyName =
                    name.parse().map_err(|error: vouchsafe_core::key::KeyNameError| {
                        Refused::invalid(error.to_string(), "Choose a name such as claude-desktop.")
                    })?;
                if tx.key_named(project.id, name.as_str())?.is_some() {
                    return Err(Refused::new(
                        Code::AlreadyExists,
                        format!("there is a key `{name}` already"),
                        format!("Choose another name, or `vouchsafe keys regenerate {name}`."),
                    )
                    .into());
                }
                let owner_name = owner.clone().unwrap_or_else(|| user.name.clone());
                let key = Key {
                    id,
                    project: project.id,
                    name,
                    owner: owner_id(tx, &owner_name)?,
                    scopes: parse_scopes(&scopes)?,
                    settings: vouchsafe_core::key::KeySettings::default(),
                    enabled: true,
                    generation: 1,
                    revision: 1,
                    created_at: tx.now().wall,
                    last_used_at: None,
                };
                tx.insert_key(&key, &hash)?;
                let entry = entries::by_user(Action::KEY_CREATED, &user);
                tx.append(&about(entry, &project, &key, &owner_name))?;
                Ok(KeyView { key, project_name: project.name.to_string(), owner_name })
            })
            .await?;
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
        self.look("list_keys", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, project.as_deref())?;
            by_name(
                &page,
                |after, limit| Ok(reader.keys_after(project.id, after, limit)?),
                |view| view.key.name.to_string(),
                |view| Ok(Some(view)),
            )
        })
        .await
    }

    /// One key.
    pub async fn show_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<KeyView, Refused> {
        let (user, name) = (user.clone(), name.to_owned());
        self.look("show_key", move |reader| {
            live_user(reader, &user)?;
            Ok(find(reader, project.as_deref(), &name)?.1)
        })
        .await
    }

    /// Changes a key's scopes (none: as they are) or its owner. Whose answer counts goes by the
    /// owner, so with another one what is pending ends.
    pub async fn update_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        scopes: &[String],
        owner: Option<String>,
    ) -> Result<KeyView, Refused> {
        let subject = entries::by_user(Action::KEY_UPDATED, user);
        let (user, name, scopes) = (user.clone(), name.to_owned(), scopes.to_vec());
        let owner = owner.filter(|owner| !owner.is_empty());
        let (view, ended) = self
            .run("update_key", subject, move |tx| {
                live_user(tx, &user)?;
                let (project, mut view) = find(tx, project.as_deref(), &name)?;
                if !scopes.is_empty() {
                    view.key.scopes = parse_scopes(&scopes)?;
                }
                let before = view.key.owner;
                if let Some(owner) = &owner {
                    view.key.owner = owner_id(tx, owner)?;
                    owner.clone_into(&mut view.owner_name);
                }
                tx.save_key(&view.key)?;
                let entry = entries::by_user(Action::KEY_UPDATED, &user);
                tx.append(&about(entry, &project, &view.key, &view.owner_name))?;
                let changed = view.key.owner != before;
                Ok((view.clone(), if changed { end_asks(tx, &view.key)? } else { Vec::new() }))
            })
            .await?;
        for approval in &ended {
            self.settled(approval);
        }
        Ok(view)
    }

    /// Lets a key in again.
    pub async fn enable_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<KeyView, Refused> {
        self.change_key(Action::KEY_ENABLED, user, project, name, |_, view| {
            view.key.enabled = true;
            Ok(())
        })
        .await
    }

    /// Shuts a key out; once this has answered, it opens nothing. Its leases stay for when it is
    /// enabled again, and run out as they would.
    pub async fn disable_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
        reason: String,
    ) -> Result<KeyView, Refused> {
        let subject = entries::by_user(Action::KEY_DISABLED, user);
        let (user, name) = (user.clone(), name.to_owned());
        self.run_essential("disable_key", subject, move |tx| {
            live_user(tx, &user)?;
            let (project, mut view) = find(tx, project.as_deref(), &name)?;
            view.key.enabled = false;
            tx.save_key(&view.key)?;
            let entry = entries::by_user(Action::KEY_DISABLED, &user);
            let entry = entry.detail("reason", escape_untrusted(&reason).text);
            tx.append(&about(entry, &project, &view.key, &view.owner_name))?;
            Ok(view)
        })
        .await
    }

    /// A new value for a key; once this has answered, the old one opens nothing.
    pub async fn regenerate_key(
        &self,
        user: &User,
        project: Option<String>,
        name: &str,
    ) -> Result<(KeyView, Token), Refused> {
        let token = new_token(TokenKind::Mcp)?;
        let hash = self.token_hash(&token);
        let view = self
            .change_key(Action::KEY_REGENERATED, user, project, name, move |tx, view| {
                tx.save_key_token(view.key.id, &hash)?;
                view.key.generation = view.key.generation.saturating_add(1);
                Ok(())
            })
            .await?;
        Ok((view, token))
    }

    /// Deletes a key: its leases end and its asks are withdrawn with it.
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
        F: Fn(&mut Tx<'_>, &mut KeyView) -> Result<(), Stop> + Send + 'static,
    {
        let subject = entries::by_user(action, user);
        let (user, name) = (user.clone(), name.to_owned());
        self.run("change_key", subject, move |tx| {
            live_user(tx, &user)?;
            let (project, mut view) = find(tx, project.as_deref(), &name)?;
            change(tx, &mut view)?;
            tx.save_key(&view.key)?;
            let entry = entries::by_user(action, &user);
            tx.append(&about(entry, &project, &view.key, &view.owner_name))?;
            Ok(view)
        })
        .await
    }
}

pub(super) fn not_found(name: &str) -> Refused {
    Refused::new(
        Code::KeyNotFound,
        format!("there is no key `{}`", echo(name, 40)),
        "`vouchsafe keys list` shows which there are.",
    )
}

fn delete(
    tx: &mut Tx<'_>,
    user: &User,
    project: Option<&str>,
    name: &str,
    reason: &str,
) -> Result<(DeletedKey, Vec<Approval>), Stop> {
    let (project, view) = find(tx, project, name)?;
    tx.delete_key(view.key.id, tx.now().wall)?;
    let entry = entries::by_user(Action::KEY_DELETED, user);
    let entry = entry.detail("reason", escape_untrusted(reason).text);
    tx.append(&about(entry, &project, &view.key, &view.owner_name))?;
    let leases = tx.active_leases_of(view.key.id)?;
    let entry = entries::by_user(Action::LEASE_REVOKED, user);
    let revoked = revoke(tx, leases, &user.name, Some("the key was deleted"), &entry)?;
    let mut ended = Vec::new();
    for pending in tx.pending_approvals_of(view.key.id)? {
        let approval = pending.withdraw(user.name.as_str(), tx.now());
        save_settled(tx, &approval, Action::APPROVAL_WITHDRAWN)?;
        ended.push(approval);
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let deleted = DeletedKey {
        leases_revoked: count(revoked.len()),
        approvals_withdrawn: count(ended.len()),
    };
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
    project: Option<&str>,
    name: &str,
) -> Result<(Project, KeyView), Stop> {
    let project = project_or_default(reader, project)?;
    let view = reader.key_named(project.id, name)?.ok_or_else(|| not_found(name))?;
    Ok((project, view))
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

fn about(entry: Entry, project: &Project, key: &Key, owner: &str) -> Entry {
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    entry
        .project(project.name.as_str())
        .detail("key", key.name.as_str())
        .detail("key_id", key.id.to_string())
        .detail("owner", owner)
        .detail("scopes", scopes)
        .detail("enabled", key.enabled)
}
