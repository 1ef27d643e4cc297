//! `projects`: the namespaces that own rules, secrets, keys and log entries.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    ArchiveProjectRequest, CreateProjectRequest, ListProjectsRequest, Project,
    RestoreProjectRequest, UpdateProjectRequest,
};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::prompt;
use crate::record::Record;

const COLUMNS: [Column; 7] = [
    ("NAME", "name"),
    ("KEYS", "keys"),
    ("SECRETS", "secrets"),
    ("CALLS", "calls_this_month"),
    ("MONTHLY", "monthly"),
    ("CREATED", "created_at"),
    ("ARCHIVED", "archived_at"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project; its rules are the files in the policy folder's sub-folder of its name
    Create {
        /// Name: 1 to 40 lower-case letters, digits and hyphens
        name: String,
        /// Calls of tools that all its keys together may make in a month [default: not limited]
        #[arg(long, value_name = "N")]
        monthly: Option<u64>,
    },
    /// List the projects in which you may do something
    List {
        /// Archived ones, too
        #[arg(long)]
        archived: bool,
    },
    /// Change the limit of a project
    Update {
        /// Name of the project
        name: String,
        /// Calls of tools that all its keys together may make in a month; 0 for no limit
        #[arg(long, value_name = "N")]
        monthly: u64,
    },
    Archive(Archive),
    /// Take an archived project back into use
    Restore {
        /// Name of the project
        name: String,
    },
}

/// Close a project.
///
/// Its keys open nothing any more, its leases end and its asks are withdrawn. Its secrets and keys
/// stay as they are, and `vouchsafe projects restore` takes it back into use.
#[derive(Args, Debug)]
pub(crate) struct Archive {
    /// Name of the project
    name: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Create { name, monthly } => create(name, monthly, context).await,
        Command::List { archived } => list(archived, context).await,
        Command::Update { name, monthly } => {
            let request = UpdateProjectRequest { name, monthly: Some(monthly) };
            let daemon = context.daemon().await?;
            let project = daemon.projects().update_project(request).await?.into_inner();
            context.out.record(&record(&project))
        }
        Command::Archive(given) => archive(given, context).await,
        Command::Restore { name } => {
            let request = RestoreProjectRequest { name };
            let daemon = context.daemon().await?;
            let project = daemon.projects().restore_project(request).await?.into_inner();
            context.out.record(&record(&project))
        }
    }
}

async fn create(name: String, monthly: Option<u64>, context: &Context) -> Result<(), CliError> {
    let request = CreateProjectRequest { name, monthly: monthly.unwrap_or(0) };
    let daemon = context.daemon().await?;
    let project = daemon.projects().create_project(request).await?.into_inner();
    context.out.record(&record(&project))?;
    output::note(&format!(
        "it has no rules yet, so all is refused in it: put files into {}/ of the policy folder",
        project.name
    ));
    Ok(())
}

async fn list(archived: bool, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListProjectsRequest { archived };
    let answer = daemon.projects().list_projects(request).await?.into_inner();
    let projects: Vec<Record> = answer.projects.iter().map(record).collect();
    context.out.list(&COLUMNS, &projects, "no projects")
}

async fn archive(given: Archive, context: &Context) -> Result<(), CliError> {
    let Archive { name, reason, yes } = given;
    let question =
        format!("Archive the project {name}? Its leases end, and its keys open nothing.");
    prompt::confirm_unless(yes, &question).await?;
    let daemon = context.daemon().await?;
    let request = ArchiveProjectRequest { name: name.clone(), reason };
    let answer = daemon.projects().archive_project(request).await?.into_inner();
    context.out.record(
        &Record::new()
            .text("archived", name)
            .number("leases_revoked", answer.leases_revoked)
            .number("approvals_withdrawn", answer.approvals_withdrawn),
    )
}

fn record(project: &Project) -> Record {
    Record::new()
        .text("id", &project.id)
        .text("name", &project.name)
        .number("keys", project.keys)
        .number("secrets", project.secrets)
        .number_if("monthly", Some(project.monthly).filter(|calls| *calls != 0))
        .number("calls_this_month", project.calls_this_month)
        .time("created_at", project.created_at)
        .time("archived_at", project.archived_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_without_a_limit_shows_none() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let free = Project { name: "shop".to_owned(), ..Project::default() };
        assert_eq!(record(&free).cell("monthly", now), "-");
        let limited = Project { monthly: 1_000, ..free };
        assert_eq!(record(&limited).cell("monthly", now), "1000");
    }
}
