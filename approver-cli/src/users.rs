//! `users`: the people.

mod update;

use clap::Subcommand;
use serde_json::Value;
use vouchsafe_proto::v1::{
    CreateUserRequest, DisableUserRequest, EnableUserRequest, IssueTokenRequest, ListUsersRequest,
    NotifyPreferences, ProjectRoles, ShowUserRequest, User, UserWithToken,
};
use zeroize::Zeroizing;

use self::update::Update;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::record::{Field, Record};
use crate::words::{self, Role};
use crate::{home, pages, prompt};

const COLUMNS: [Column; 9] = [
    ("NAME", "name"),
    ("ROLES", "roles"),
    ("IN PROJECTS", "project_roles"),
    ("GROUPS", "groups"),
    ("EMAIL", "email"),
    ("SLACK", "slack_id"),
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
    /// Change roles or groups of a user, where messages reach them, and which they want
    ///
    /// With --project, --roles replaces the roles they have in that project alone, and --no-roles
    /// takes those away; without it, the roles that hold in all projects. All else belongs to no
    /// project. A channel that goes to one place, as a webhook does, tells whoever looks there,
    /// whatever people prefer; alerts, escalations and broken glasses wait for no quiet hours.
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
            let changes_roles = update.changes_roles();
            let request = update.request(context.project_named())?;
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
    let in_projects = Field::Text(in_projects.collect::<Vec<_>>().join("; "));
    let notify = Field::Text(user.notify.as_ref().map(wishes).unwrap_or_default());
    fields(user, in_projects, notify)
}

/// What they want to be told, in words; empty: whatever there is.
fn wishes(notify: &NotifyPreferences) -> String {
    let some =
        |words: &str, times: &str| Some(format!("{words} {times}")).filter(|_| !times.is_empty());
    let channels = match notify.channels.as_slice() {
        [] if notify.limit_channels => Some("over no channel".to_owned()),
        channels => some("over", &channels.join(", ")),
    };
    let all = [
        channels,
        some("of", &words::events(&notify.events).join(", ")),
        some("quiet", &notify.quiet_hours),
        some("digest", &notify.digest),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn record(user: &User) -> Record {
    let in_projects = user.project_roles.iter().map(|roles| Field::Inner(project_roles(roles)));
    let notify = user
        .notify
        .as_ref()
        .map_or(Field::Json(Value::Null), |notify| Field::Inner(preferences(notify)));
    fields(user, Field::Many(in_projects.collect()), notify)
}

fn preferences(notify: &NotifyPreferences) -> Record {
    Record::new()
        .flag("limit_channels", notify.limit_channels)
        .texts("channels", &notify.channels)
        .texts("events", &notify.events)
        .text("quiet_hours", &notify.quiet_hours)
        .text("digest", &notify.digest)
}

fn fields(user: &User, project_roles: Field, notify: Field) -> Record {
    Record::new()
        .text("id", &user.id)
        .text("name", &user.name)
        .texts("roles", role_words(&user.roles))
        .with("project_roles", project_roles)
        .texts("groups", &user.groups)
        .text("email", &user.email)
        .text("slack_id", &user.slack_id)
        .with("notify", notify)
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
    fn people_read_what_somebody_wants_to_be_told() {
        let notify = NotifyPreferences {
            limit_channels: true,
            quiet_hours: "22:00-07:00 Europe/Berlin".to_owned(),
            ..NotifyPreferences::default()
        };
        assert_eq!(wishes(&notify), "over no channel; quiet 22:00-07:00 Europe/Berlin");
        let notify = NotifyPreferences {
            channels: vec!["email".to_owned()],
            events: vec!["alert".to_owned(), "break_glass".to_owned()],
            digest: "0 9 * * * UTC".to_owned(),
            limit_channels: true,
            ..NotifyPreferences::default()
        };
        assert_eq!(wishes(&notify), "over email; of alert, break_glass; digest 0 9 * * * UTC");
        assert_eq!(wishes(&NotifyPreferences::default()), "");
    }

    #[test]
    fn credentials_are_toml_whatever_the_name() {
        let text = credentials_text("o\"brien", "vs_user_x");
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read.get("user").unwrap().as_str(), Some("o\"brien"));
    }
}
