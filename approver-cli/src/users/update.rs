//! What can be changed about a user: the options that say so, and what of them goes to the daemon.

use clap::Args;
use vouchsafe_proto::v1::UpdateUserRequest;

use crate::error::CliError;
use crate::words::Role;

/// What `--notify` takes for every channel.
const ANY: &str = "any";
/// What `--notify` takes for no channel; the daemon takes it for no times.
const NONE: &str = "none";

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Name of the user
    name: String,
    #[command(flatten)]
    changes: Changes,
}

/// What is not given stays as it is.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag at the command line")]
struct Changes {
    /// What they may do from now on, in the project of --project or in all: approver, auditor,
    /// operator, admin
    #[arg(
        long,
        value_enum,
        value_name = "ROLE",
        value_delimiter = ',',
        hide_possible_values = true
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
    /// Where e-mail reaches them
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Forget that address: e-mail reaches them at their name, where it is an address
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
    /// Who they are in Slack: the member id that their profile there has under "Copy member ID"
    #[arg(long, value_name = "ID")]
    slack_id: Option<String>,
    /// Forget who they are in Slack
    #[arg(long, conflicts_with = "slack_id")]
    no_slack_id: bool,
    /// Channels that may tell them things, like `email,slack:security`; `any`, or `none`
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    notify: Vec<String>,
    /// Events they are told of, like `approval.*,break_glass`; '*' for whatever a channel carries
    #[arg(long, value_name = "EVENT", value_delimiter = ',')]
    notify_events: Vec<String>,
    /// When they are told nothing that can wait, like "22:00-07:00 Europe/Berlin"; `none` for never
    #[arg(long, value_name = "TIMES")]
    quiet_hours: Option<String>,
    /// When they are told what can wait, all at once: five fields of cron and a time zone, like "0 9
    /// * * Mon-Fri Europe/Berlin"; `none` for at once. Asks wait, too, and may expire before
    #[arg(long, value_name = "CRON")]
    digest: Option<String>,
}

impl Update {
    /// Whether it changes what somebody may do.
    pub(super) fn changes_roles(&self) -> bool {
        self.changes.no_roles || !self.changes.roles.is_empty()
    }

    /// As the daemon takes it.
    pub(super) fn request(self, project: String) -> Result<UpdateUserRequest, CliError> {
        let set_roles = self.changes_roles();
        let Changes { roles, groups, no_groups, email, no_email, slack_id, no_slack_id, .. } =
            self.changes;
        let (notify_channels, any_channel) = channels(&self.changes.notify)?;
        Ok(UpdateUserRequest {
            name: self.name,
            set_roles,
            roles: roles.iter().map(|role| role.to_proto()).collect(),
            set_groups: no_groups || !groups.is_empty(),
            groups,
            project,
            set_email: no_email || email.is_some(),
            email: email.unwrap_or_default(),
            set_slack_id: no_slack_id || slack_id.is_some(),
            slack_id: slack_id.unwrap_or_default(),
            set_notify_channels: !self.changes.notify.is_empty(),
            notify_channels,
            any_channel,
            notify_events: self.changes.notify_events,
            quiet_hours: self.changes.quiet_hours.unwrap_or_default(),
            digest: self.changes.digest.unwrap_or_default(),
        })
    }
}

/// The channels by name, or that it may be any.
fn channels(named: &[String]) -> Result<(Vec<String>, bool), CliError> {
    match named {
        [word] if word == ANY => Ok((Vec::new(), true)),
        [word] if word == NONE => Ok((Vec::new(), false)),
        _ => match named.iter().find(|name| *name == ANY || *name == NONE) {
            Some(word) => Err(CliError::usage(format!("`{word}` stands beside other channels"))
                .with_next(format!("name channels, or write --notify {word} alone"))),
            None => Ok((named.to_vec(), false)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_or_any_or_none() {
        let read = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            channels(&names)
        };
        let email = || vec!["email".to_owned()];
        assert_eq!(read(&["email"]), Ok((email(), false)));
        assert_eq!(read(&["any"]), Ok((Vec::new(), true)));
        assert_eq!(read(&["none"]), Ok((Vec::new(), false)));
        let mixed = read(&["email", "none"]).unwrap_err();
        assert_eq!(mixed.message, "`none` stands beside other channels");
    }
}
