//! Projects: made, limited, put away, and taken back into use.

use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::project::{DEFAULT_PROJECT, Project, ProjectName, ProjectNameError};
use vouchsafe_core::text::escape_untrusted;

use super::asks::save_settled;
use super::doors::live_user;
use super::leases::revoke;
use super::sessions::{Sessions, end_sessions};
use super::setup::{project_archived, project_or_default};
use super::{Broker, Code, DeletedKey, ProjectView, Refused, Stop, entries, random};
use crate::store::{Reader, Tx};

/// The most projects there are.
const PROJECTS_MAX: usize = 500;

impl Broker {
    /// A new project. It has no rules until its folder of them is there, and refuses everything
    /// until then. `monthly`: calls of tools in a month, all its keys together.
    pub async fn create_project(
        &self,
        user: &User,
        name: &str,
        monthly: Option<u64>,
    ) -> Result<ProjectView, Refused> {
        let id = ProjectId::from_random(random()?);
        let subject = entries::by_user(Action::PROJECT_CREATED, user);
        let (user, name) = (user.clone(), name.to_owned());
        let project = self.run("create_project", subject, move |tx| {
            live_user(tx, &user)?;
            let name: ProjectName = name.parse().map_err(|error: ProjectNameError| {
                Refused::invalid(error.to_string(), "Choose a name such as web-shop.")
            })?;
            check_free(tx, &name)?;
            let project =
                Project { id, name, monthly, created_at: tx.now().wall, archived_at: None };
            tx.insert_project(&project)?;
            tx.append(&about(entries::by_user(Action::PROJECT_CREATED, &user), &project))?;
            Ok(project)
        });
        self.project_view(project.await?).await
    }

    /// The projects that the caller's reach covers, by name.
    pub async fn list_projects(
        &self,
        user: &User,
        archived: bool,
    ) -> Result<Vec<ProjectView>, Refused> {
        let user = user.clone();
        let found = self.look("list_projects", move |reader| {
            live_user(reader, &user)?;
            let mut projects = reader.projects()?;
            projects.retain(|project| user.reach.covers(project.id));
            projects.retain(|project| archived || project.archived_at.is_none());
            Ok(projects)
        });
        let mut views = Vec::new();
        for project in found.await? {
            views.push(self.project_view(project).await?);
        }
        Ok(views)
    }

    /// Gives a project another limit of calls a month; `Some(None)`: none.
    pub async fn update_project(
        &self,
        user: &User,
        name: &str,
        monthly: Option<Option<u64>>,
    ) -> Result<ProjectView, Refused> {
        let limits = &self.inner.limits;
        let turn = limits.turn().await;
        let changed = self.change_project(Action::PROJECT_UPDATED, user, name, move |project| {
            project.monthly = monthly.unwrap_or(project.monthly);
            Ok(())
        });
        let project = changed.await?;
        limits.limit_project(project.id, project.monthly);
        drop(turn);
        self.project_view(project).await
    }

    /// Puts a project away: its keys open nothing, its leases and sessions end and its asks are
    /// withdrawn. What it holds stays.
    pub async fn archive_project(
        &self,
        user: &User,
        name: &str,
        reason: String,
    ) -> Result<DeletedKey, Refused> {
        let subject = entries::by_user(Action::PROJECT_ARCHIVED, user);
        let (user, name) = (user.clone(), name.to_owned());
        let (gone, ended) = self
            .run_essential("archive_project", subject, move |tx| {
                live_user(tx, &user)?;
                archive(tx, &user, &name, &reason)
            })
            .await?;
        for approval in &ended {
            self.settled(approval);
        }
        Ok(gone)
    }

    /// Takes an archived project back into use.
    pub async fn restore_project(&self, user: &User, name: &str) -> Result<ProjectView, Refused> {
        let restored = self.change_project(Action::PROJECT_RESTORED, user, name, |project| {
            if project.archived_at.take().is_none() {
                return Err(Refused::new(
                    Code::AlreadyExists,
                    format!("the project `{}` is in use", project.name),
                    "There is nothing to restore.",
                ));
            }
            Ok(())
        });
        self.project_view(restored.await?).await
    }

    async fn change_project<F>(
        &self,
        action: Action,
        user: &User,
        name: &str,
        change: F,
    ) -> Result<Project, Refused>
    where
        F: Fn(&mut Project) -> Result<(), Refused> + Send + 'static,
    {
        let subject = entries::by_user(action, user);
        let (user, name) = (user.clone(), name.to_owned());
        self.run("change_project", subject, move |tx| {
            live_user(tx, &user)?;
            let mut project = project_or_default(tx, &user, Some(&name))?;
            change(&mut project)?;
            tx.save_project(&project)?;
            tx.append(&about(entries::by_user(action, &user), &project))?;
            Ok(project)
        })
        .await
    }

    async fn project_view(&self, project: Project) -> Result<ProjectView, Refused> {
        let calls = self.calls_this_month(project.id).await?;
        let id = project.id;
        let holds = self.look("project_holds", move |reader| Ok(reader.project_holds(id)?));
        let (keys, secrets) = holds.await?;
        Ok(ProjectView { project, calls, keys, secrets })
    }
}

fn check_free(reader: &Reader<'_>, name: &ProjectName) -> Result<(), Stop> {
    if let Some(there) = reader.project_named(name.as_str())? {
        let next = match there.archived_at {
            Some(_) => format!("Take it back into use with `vouchsafe projects restore {name}`."),
            None => "Choose another name.".to_owned(),
        };
        let message = format!("there is a project `{name}` already");
        return Err(Refused::new(Code::AlreadyExists, message, next).into());
    }
    if reader.projects()?.len() >= PROJECTS_MAX {
        return Err(Refused::invalid(
            format!("there are {PROJECTS_MAX} projects, archived ones among them"),
            "Use one that is there.",
        )
        .into());
    }
    Ok(())
}

fn archive(
    tx: &mut Tx<'_>,
    user: &User,
    name: &str,
    reason: &str,
) -> Result<(DeletedKey, Vec<Approval>), Stop> {
    let mut project = project_or_default(tx, user, Some(name))?;
    if project.name.as_str() == DEFAULT_PROJECT {
        return Err(Refused::invalid(
            format!("the project `{DEFAULT_PROJECT}` cannot be archived"),
            "Disable its keys instead.",
        )
        .into());
    }
    if project.archived_at.is_some() {
        return Err(project_archived(project.name.as_str()).into());
    }
    project.archived_at = Some(tx.now().wall);
    tx.save_project(&project)?;
    let entry = entries::by_user(Action::PROJECT_ARCHIVED, user);
    tx.append(&about(entry, &project).detail("reason", escape_untrusted(reason).text))?;
    let why = Some("the project was archived");
    end_sessions(tx, Sessions::Project(project.id), user, why)?;
    let mut leases = tx.active_leases()?;
    leases.retain(|lease| lease.terms.project == project.id);
    let entry = entries::by_user(Action::LEASE_REVOKED, user);
    let revoked = revoke(tx, leases, &user.name, why, &entry)?;
    let mut ended = Vec::new();
    for pending in tx.pending_approvals()? {
        if pending.ask.project == project.id {
            let approval = pending.withdraw(user.name.as_str(), tx.now());
            save_settled(tx, &approval, Action::APPROVAL_WITHDRAWN)?;
            ended.push(approval);
        }
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let gone = DeletedKey {
        leases_revoked: count(revoked.len()),
        approvals_withdrawn: count(ended.len()),
    };
    Ok((gone, ended))
}

fn about(entry: Entry, project: &Project) -> Entry {
    let entry = entry
        .project(project.name.as_str())
        .detail("project_id", project.id.to_string())
        .detail("archived", project.archived_at.is_some());
    match project.monthly {
        Some(monthly) => entry.detail("monthly", monthly),
        None => entry,
    }
}
