//! People: who they are and what they may do.

use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::{
    Contact, ProjectRoles, Role, Roles, User, UserName, UserRecord, check_group_name,
};
use vouchsafe_core::id::UserId;
use vouchsafe_core::project::Project;
use vouchsafe_core::route::{ChannelName, SlackId};
use vouchsafe_core::text::{echo, escape_untrusted};
use vouchsafe_core::token::{Token, TokenKind};

use super::doors::live_user;
use super::paging::by_name;
use super::setup::{new_token, project_named};
use super::{
    Broker, Code, Page, Paged, PreferencesChange, Refused, Stop, UserChange, entries, random,
};
use crate::store::{Reader, Tx};

/// Groups that one user may be in.
const GROUPS_MAX: usize = 50;

impl Broker {
    /// A new user, whose roles hold in this project, or without one in all. Their token is in the
    /// answer and nowhere else.
    pub async fn create_user(
        &self,
        user: &User,
        name: &str,
        roles: Roles,
        groups: Vec<String>,
        project: Option<String>,
    ) -> Result<(UserRecord, Token), Refused> {
        let token = new_token(TokenKind::User)?;
        let hash = self.token_hash(&token);
        let id = UserId::from_random(random()?);
        let subject = entries::by_user(Action::USER_CREATED, user);
        let (user, name) = (user.clone(), name.to_owned());
        let record = self
            .run("create_user", subject, move |tx| {
                live_user(tx, &user)?;
                let name: UserName =
                    name.parse().map_err(|e: vouchsafe_core::caller::UserNameError| {
                        Refused::invalid(e.to_string(), "Use a short name or an e-mail address.")
                    })?;
                if tx.user_named(name.as_str())?.is_some() {
                    return Err(Refused::new(
                        Code::AlreadyExists,
                        format!("there is a user `{name}` already"),
                        format!("Change them with `vouchsafe users update {name}`."),
                    )
                    .into());
                }
                let mut record = UserRecord {
                    id,
                    name,
                    roles: Roles::NONE,
                    project_roles: Vec::new(),
                    groups: sorted_groups(&groups)?,
                    enabled: true,
                    contact: Contact::default(),
                    created_at: tx.now().wall,
                    last_used_at: None,
                };
                let project = project_named(tx, &user, project.as_deref())?;
                set_roles(&mut record, project.as_ref(), roles);
                tx.insert_user(&record, &hash)?;
                tx.append(&about(entries::by_user(Action::USER_CREATED, &user), &record))?;
                Ok(record)
            })
            .await?;
        Ok((record, token))
    }

    /// Users by name.
    pub async fn list_users(&self, user: &User, page: Page) -> Result<Paged<UserRecord>, Refused> {
        let user = user.clone();
        self.look("list_users", move |reader| {
            live_user(reader, &user)?;
            by_name(
                &page,
                |after, limit| Ok(reader.users_after(after, limit)?),
                |record| record.name.to_string(),
                |record| Ok(Some(record)),
            )
        })
        .await
    }

    /// One user.
    pub async fn show_user(&self, user: &User, name: &str) -> Result<UserRecord, Refused> {
        let (user, name) = (user.clone(), name.to_owned());
        self.look("show_user", move |reader| {
            live_user(reader, &user)?;
            find(reader, &name)
        })
        .await
    }

    /// Changes what is given: roles, groups, where messages reach the user, and which they want.
    /// Each channel that is named has to be there, and nobody else may have the Slack id. With
    /// another address, what was sent to the one before signs nobody in any more.
    pub async fn update_user(
        &self,
        user: &User,
        name: &str,
        change: UserChange,
    ) -> Result<UserRecord, Refused> {
        let by = user.clone();
        let channels: Vec<_> =
            self.inner.settings.channels.iter().map(|channel| channel.name.clone()).collect();
        self.change_user(Action::USER_UPDATED, user, name, String::new(), move |tx, record| {
            let project = project_named(tx, &by, change.project.as_deref())?;
            if let Some(groups) = &change.groups {
                record.groups = sorted_groups(groups)?;
            }
            if let Some(roles) = change.roles {
                set_roles(record, project.as_ref(), roles);
                keep_an_admin(tx, record)?;
            }
            if let Some(email) = &change.email {
                let before = record.email();
                record.contact.email.clone_from(email);
                if record.email() != before {
                    // Whoever reads mail there is not this user, or not any more.
                    let now = tx.now().wall;
                    tx.end_mailed(record.id, now)?;
                }
            }
            if let Some(slack) = &change.slack {
                if let Some(member) = slack {
                    check_free(tx, record, member)?;
                }
                record.contact.slack.clone_from(slack);
            }
            check_channels(&channels, &change.notify)?;
            change.notify.apply(&mut record.contact.preferences);
            Ok(())
        })
        .await
    }

    /// Lets a user in again; they need a new token.
    pub async fn enable_user(&self, user: &User, name: &str) -> Result<UserRecord, Refused> {
        self.change_user(Action::USER_ENABLED, user, name, String::new(), |_, record| {
            record.enabled = true;
            Ok(())
        })
        .await
    }

    /// Shuts a user out; once this has answered, their token opens nothing and their votes on
    /// what is pending count for nothing.
    pub async fn disable_user(
        &self,
        user: &User,
        name: &str,
        reason: String,
    ) -> Result<UserRecord, Refused> {
        self.change_user(Action::USER_DISABLED, user, name, reason, |tx, record| {
            record.enabled = false;
            keep_an_admin(tx, record)?;
            tx.save_user_token(record.id, None)?;
            Ok(())
        })
        .await
    }

    /// A new token for a user; once this has answered, the one before opens nothing.
    pub async fn issue_token(
        &self,
        user: &User,
        name: &str,
    ) -> Result<(UserRecord, Token), Refused> {
        let token = new_token(TokenKind::User)?;
        let hash = self.token_hash(&token);
        let record = self
            .change_user(Action::USER_TOKEN_ISSUED, user, name, String::new(), move |tx, record| {
                if !record.enabled {
                    return Err(Refused::new(
                        Code::UserDisabled,
                        format!("the user `{}` is disabled", record.name),
                        format!("Enable them first: `vouchsafe users enable {}`.", record.name),
                    )
                    .into());
                }
                Ok(tx.save_user_token(record.id, Some(&hash))?)
            })
            .await?;
        Ok((record, token))
    }

    /// Who the caller is.
    pub async fn who_am_i(&self, user: &User) -> Result<UserRecord, Refused> {
        let user = user.clone();
        self.look("who_am_i", move |reader| {
            live_user(reader, &user)?;
            find(reader, &user.name)
        })
        .await
    }

    async fn change_user<F>(
        &self,
        action: Action,
        user: &User,
        name: &str,
        reason: String,
        change: F,
    ) -> Result<UserRecord, Refused>
    where
        F: Fn(&mut Tx<'_>, &mut UserRecord) -> Result<(), Stop> + Send + 'static,
    {
        let subject = entries::by_user(action, user);
        let (user, name) = (user.clone(), name.to_owned());
        self.run("change_user", subject, move |tx| {
            live_user(tx, &user)?;
            let mut record = find(tx, &name)?;
            change(tx, &mut record)?;
            tx.save_user(&record)?;
            let mut entry = about(entries::by_user(action, &user), &record);
            if !reason.is_empty() {
                entry = entry.detail("reason", escape_untrusted(&reason).text);
            }
            tx.append(&entry)?;
            Ok(record)
        })
        .await
    }
}

/// The user of that name, enabled or not.
pub(super) fn find(reader: &Reader<'_>, name: &str) -> Result<UserRecord, Stop> {
    match reader.user_named(name)? {
        Some(record) => Ok(record),
        None => Err(Refused::new(
            Code::UserNotFound,
            format!("there is no user `{}`", echo(name, 64)),
            "`vouchsafe users list` shows who there is.",
        )
        .into()),
    }
}

/// Nobody may take the last enabled admin of everything away: nobody could make another.
fn keep_an_admin(reader: &Reader<'_>, changed: &UserRecord) -> Result<(), Stop> {
    let is_admin = |record: &UserRecord| record.enabled && record.roles.contains(Role::Admin);
    if is_admin(changed) {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let users = reader.users_after(&after, 200)?;
        let Some(last) = users.last() else { break };
        if users.iter().any(|record| record.id != changed.id && is_admin(record)) {
            return Ok(());
        }
        after = last.name.to_string();
    }
    Err(Refused::new(
        Code::LastAdmin,
        format!("`{}` is the last admin", changed.name),
        "Give somebody else the role first: `vouchsafe users update NAME --roles admin`.",
    )
    .into())
}

/// Replaces what somebody may do in a project, or in all of them.
fn set_roles(record: &mut UserRecord, project: Option<&Project>, roles: Roles) {
    let Some(project) = project else {
        record.roles = roles;
        return;
    };
    record.project_roles.retain(|there| there.project != project.id);
    if roles != Roles::NONE {
        let project_name = project.name.to_string();
        record.project_roles.push(ProjectRoles { project: project.id, project_name, roles });
    }
    record.project_roles.sort_by(|a, b| a.project_name.cmp(&b.project_name));
}

fn sorted_groups(groups: &[String]) -> Result<Vec<String>, Refused> {
    if groups.len() > GROUPS_MAX {
        return Err(Refused::invalid(
            format!("a user is in {GROUPS_MAX} groups at most"),
            "Name fewer groups.",
        ));
    }
    for group in groups {
        check_group_name(group).map_err(|error| {
            Refused::invalid(
                format!("`{}` names no group: {error}", echo(group, 40)),
                "Choose a name such as oncall.",
            )
        })?;
    }
    let mut groups = groups.to_vec();
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// One member of the Slack workspace is one user, or answers from there would be anybody's.
fn check_free(reader: &Reader<'_>, record: &UserRecord, member: &SlackId) -> Result<(), Stop> {
    match reader.user_by_slack(member)? {
        Some(other) if other.id != record.id => Err(Refused::new(
            Code::AlreadyExists,
            format!("`{member}` is `{}` in Slack already", other.name),
            format!(
                "Take it from them first: `vouchsafe users update {} --no-slack-id`.",
                other.name
            ),
        )
        .into()),
        Some(_) | None => Ok(()),
    }
}

/// Whoever is told things over a channel that is not there is told nothing.
fn check_channels(there: &[ChannelName], change: &PreferencesChange) -> Result<(), Refused> {
    let Some(Some(wanted)) = &change.channels else { return Ok(()) };
    let Some(unknown) = wanted.iter().find(|name| !there.contains(name)) else { return Ok(()) };
    let next = if there.is_empty() {
        "There is none: set one up under [notify] in vouchsafe.toml.".to_owned()
    } else {
        let names: Vec<_> = there.iter().map(ChannelName::as_str).collect();
        format!("There are {}; channels are set up in vouchsafe.toml.", names.join(", "))
    };
    Err(Refused::new(Code::ChannelNotFound, format!("there is no channel {unknown}"), next))
}

fn about(entry: Entry, record: &UserRecord) -> Entry {
    let words = |roles: Roles| roles.iter().map(Role::as_str).collect::<Vec<_>>();
    let entry = entry
        .detail("user", record.name.as_str())
        .detail("user_id", record.id.to_string())
        .detail("roles", words(record.roles))
        .detail("groups", record.groups.clone())
        .detail("enabled", record.enabled);
    let entry = about_contact(entry, &record.contact);
    if record.project_roles.is_empty() {
        return entry;
    }
    let there = record.project_roles.iter();
    let there: Vec<_> = there
        .flat_map(|there| {
            there.roles.iter().map(|role| format!("{}:{}", there.project_name, role.as_str()))
        })
        .collect();
    entry.detail("project_roles", there)
}

/// Where messages reach them, and which they want: as much of it as is set.
fn about_contact(mut entry: Entry, contact: &Contact) -> Entry {
    let Contact { email, slack, preferences } = contact;
    if let Some(email) = email {
        entry = entry.detail("email", email.as_str());
    }
    if let Some(slack) = slack {
        entry = entry.detail("slack_id", slack.as_str());
    }
    if let Some(channels) = &preferences.channels {
        let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
        entry = entry.detail("notify_channels", names);
    }
    if let Some(events) = preferences.events {
        entry = entry.detail("notify_events", events.names());
    }
    if let Some(quiet) = &preferences.quiet {
        entry = entry.detail("quiet_hours", quiet.as_str());
    }
    if let Some(digest) = &preferences.digest {
        entry = entry.detail("digest", digest.as_str());
    }
    entry
}
