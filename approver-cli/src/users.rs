//! `users`: the people.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    CreateUserRequest, DisableUserRequest, EnableUserRequest, IssueTokenRequest, ListUsersRequest,
    ProjectRoles, ShowUserRequest, UpdateUserRequest, User, UserWithToken,
};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::record::{Field, Record};
use crate::words::{self, Role};
use crate::{home, pages, prompt};

const COLUMNS: [Column; 7] = [
    ("NAME", "name"),
    ("ROLES", "roles"),
    ("IN PROJECTS", "project_roles"),
    ("GROUPS", "groups"),
    ("ENABLED", "enabled"),
    ("CREATED", "created_at"),
    ("LAST USED", "last_used_at"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a user; the token is shown once
    ///
    /// With --project the roles hold in that project alone; without it, in all of them.
    Create {
        /// Short name or e-mail address
        name: String,
        /// What they may do, in the project of --project or in all: approver, auditor, operator,
        /// admin
        #[arg(
            long,
            value_enum,
            value_name = "ROLE",
            value_delimiter = ',',
            hide_possible_values = true
        )]
        roles: Vec<Role>,
        /// Groups they are in, as rules name them
        #[arg(long, value_name = "GROUP", value_delimiter = ',')]
        groups: Vec<String>,
    },
    /// List users
    List {
        /// At most this many; 0 for all
        #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
        limit: u32,
    },
    /// Show one user
    Show {
        /// Name of the user
        name: String,
    },
    /// Change roles or groups of a user
    ///
    /// With --project, --roles replaces the roles they have in that project alone, and --no-roles
    /// takes those away; without it, the roles that hold in all projects. Groups belong to no
    /// project.
    Update(Update),
    /// Let a disabled user in again; they need a new token
    Enable {
        /// Name of the user
        name: String,
    },
    /// Keep a user out; their tokens are dead at once
    Disable {
        /// Name of the user
        name: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Give a user a new token; all earlier ones are dead at once
    Token {
        /// Name of the user
        name: String,
        /// Keep it in the home folder as the one to sign in with, instead of showing it
        #[arg(long)]
        save: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Name of the user
    name: String,
    /// What they may do from now on, in the project of --project or in all: approver, auditor,
    /// operator, admin
    #[arg(
        long,
        value_enum,
        value_name = "ROLE",
        value_delimiter = ',',
        hide_possible_values = true,
        required_unless_present_any = ["no_roles", "groups", "no_groups"]
    )]
    roles: Vec<Role>,
    /// Take all these roles away
    #[arg(long, conflicts_with = "roles")]
    no_roles: bool,
    /// Groups they are in from now on
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// Take them out of all groups
    #[arg(long, conflicts_with = "groups")]
    no_groups: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Create { name, roles, groups } => {
            let roles = roles.iter().map(|role| role.to_proto()).collect();
            let project = context.project_named();
            let request = CreateUserRequest { name, roles, groups, project };
            let made = context.daemon().await?.users().create_user(request).await?.into_inner();
            show_token(made, context)?;
            say_where(context);
            Ok(())
        }
        Command::List { limit } => list(limit, context).await,
        Command::Show { name } => {
            let request = ShowUserRequest { name };
            let user = context.daemon().await?.users().show_user(request).await?.into_inner();
            context.out.record(&told(&user, context))
        }
        Command::Update(update) => {
            let request = UpdateUserRequest {
                name: update.name,
                set_roles: update.no_roles || !update.roles.is_empty(),
                roles: update.roles.iter().map(|role| role.to_proto()).collect(),
                set_groups: update.no_groups || !update.groups.is_empty(),
                groups: update.groups,
                project: context.project_named(),
                ..UpdateUserRequest::default()
            };
            let changes_roles = request.set_roles;
            let user = context.daemon().await?.users().update_user(request).await?.into_inner();
            context.out.record(&told(&user, context))?;
            if changes_roles {
                say_where(context);
            }
            Ok(())
        }
        Command::Enable { name } => {
            let request = EnableUserRequest { name };
            let user = context.daemon().await?.users().enable_user(request).await?.into_inner();
            context.out.record(&told(&user, context))
        }
        Command::Disable { name, reason } => {
            let request = DisableUserRequest { name, reason: reason.unwrap_or_default() };
            let user = context.daemon().await?.users().disable_user(request).await?.into_inner();
            context.out.record(&told(&user, context))
        }
        Command::Token { name, save, yes } => token(name, save, yes, context).await,
    }
}

async fn list(limit: u32, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let page = pages::gather(limit, async |page| {
        let answer = daemon.users().list_users(ListUsersRequest { page: Some(page) }).await?;
        let answer = answer.into_inner();
        Ok((answer.users, answer.next_token))
    })
    .await?;
    context.out.page(&COLUMNS, &page.map(|user| told(&user, context)), "no users")
}

/// Where the roles hold that were just given or taken.
fn say_where(context: &Context) {
    if let Some(project) = &context.named_project {
        output::note(&format!("these roles hold in the project {project} alone"));
    }
}

async fn token(name: String, save: bool, yes: bool, context: &Context) -> Result<(), CliError> {
    let question = format!("Give {name} a new token? All earlier ones are dead at once.");
    prompt::confirm_unless(yes, &question).await?;
    let daemon = context.daemon().await?;
    let made = daemon.users().issue_token(IssueTokenRequest { name }).await?.into_inner();
    if !save {
        return show_token(made, context);
    }
    let token = Zeroizing::new(made.token);
    let user = made.user.unwrap_or_default();
    let file = Zeroizing::new(credentials_text(&user.name, &token));
    let path = context.home.credentials_file();
    home::write_private(&path, file.as_bytes())?;
    context.out.record(
        &Record::new()
            .with_record("user", Some(record(&user)))
            .text("file", path.to_string_lossy()),
    )
}

fn credentials_text(name: &str, token: &str) -> String {
    let name = toml::Value::from(name);
    let token = toml::Value::from(token);
    format!("user = {name}\ntoken = {token}\n")
}

fn show_token(made: UserWithToken, context: &Context) -> Result<(), CliError> {
    let token = Zeroizing::new(made.token);
    let user = made.user.unwrap_or_default();
    if context.out.is_json() {
        let shown =
            Record::new().with_record("user", Some(record(&user))).text("token", token.as_str());
        return context.out.record(&shown);
    }
    context.out.record(&shown(&user).text("token", token.as_str()))?;
    output::note("this is the only time that the token is shown");
    Ok(())
}

/// As the answer is printed.
pub(crate) fn told(user: &User, context: &Context) -> Record {
    if context.out.is_json() { record(user) } else { shown(user) }
}

fn shown(user: &User) -> Record {
    let in_projects = user
        .project_roles
        .iter()
        .map(|roles| format!("{}: {}", roles.project, role_words(&roles.roles).join(", ")));
    fields(user, Field::Text(in_projects.collect::<Vec<_>>().join("; ")))
}

fn record(user: &User) -> Record {
    let in_projects = user.project_roles.iter().map(|roles| Field::Inner(project_roles(roles)));
    fields(user, Field::Many(in_projects.collect()))
}

fn fields(user: &User, project_roles: Field) -> Record {
    Record::new()
        .text("id", &user.id)
        .text("name", &user.name)
        .texts("roles", role_words(&user.roles))
        .with("project_roles", project_roles)
        .texts("groups", &user.groups)
        .flag("enabled", user.enabled)
        .time("created_at", user.created_at)
        .time("last_used_at", user.last_used_at)
}

fn project_roles(roles: &ProjectRoles) -> Record {
    Record::new().text("project", &roles.project).texts("roles", role_words(&roles.roles))
}

fn role_words(roles: &[i32]) -> Vec<String> {
    roles.iter().map(|role| words::role(*role)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_which_roles_hold_where() {
        let user = User {
            roles: vec![2],
            project_roles: vec![
                ProjectRoles { project: "shop".to_owned(), roles: vec![1, 3] },
                ProjectRoles { project: "web".to_owned(), roles: vec![1] },
            ],
            ..User::default()
        };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let cell = |name| shown(&user).cell(name, now);
        assert_eq!(cell("roles"), "auditor");
        assert_eq!(cell("project_roles"), "shop: approver, operator; web: approver");
    }

    #[test]
    fn credentials_are_toml_whatever_the_name() {
        let text = credentials_text("o\"brien", "vs_user_x");
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read.get("user").unwrap().as_str(), Some("o\"brien"));
    }
}
