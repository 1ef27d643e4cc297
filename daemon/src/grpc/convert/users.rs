//! People.

use vouchsafe_core::caller::{Contact, ProjectRoles, Role, Roles, UserRecord};
use vouchsafe_core::route::{CHANNELS_MAX, ChannelName, EmailAddress, Event, Events, SlackId};
use vouchsafe_core::token::Token;
use vouchsafe_proto::v1;

use super::time::time_out;
use super::{NAME_BYTES_MAX, Taken, at_most, few, name, names, optional, parse, unknown};
use crate::broker::{PreferencesChange, Refused, UserChange};

/// What takes quiet hours and digests away.
const NONE: &str = "none";
const QUIET_EXAMPLE: &str = "22:00-07:00 Europe/Berlin";
const DIGEST_EXAMPLE: &str = "0 9 * * Mon-Fri Europe/Berlin";
/// What takes a limit to some events away.
const ANY_EVENT: &str = "*";

/// What a person may do.
pub(in crate::grpc) fn roles(values: &[i32]) -> Taken<Roles> {
    few("roles", values.len(), Role::ALL.len())?;
    values.iter().map(|value| role(*value)).collect()
}

/// Whose account is to change, and how. What is given without its switch was meant, and is not
/// passed over.
pub(in crate::grpc) fn user_change(
    mut request: v1::UpdateUserRequest,
) -> Taken<(String, UserChange)> {
    let forgotten = |what, switch| {
        Refused::invalid(
            format!("{what} given and {switch} is not set"),
            format!("Set {switch} to replace what is there."),
        )
    };
    if !request.set_roles && !request.roles.is_empty() {
        return Err(forgotten("roles are", "set_roles"));
    }
    if !request.set_groups && !request.groups.is_empty() {
        return Err(forgotten("groups are", "set_groups"));
    }
    if !request.set_roles && !request.project.is_empty() {
        return Err(forgotten("the roles of a project are", "set_roles"));
    }
    if !request.set_email && !request.email.is_empty() {
        return Err(forgotten("an email is", "set_email"));
    }
    if !request.set_slack_id && !request.slack_id.is_empty() {
        return Err(forgotten("a slack_id is", "set_slack_id"));
    }
    let names_channels = request.any_channel || !request.notify_channels.is_empty();
    if !request.set_notify_channels && names_channels {
        return Err(forgotten("notify_channels are", "set_notify_channels"));
    }
    let notify = preferences_change(&mut request)?;
    let groups = names("groups", request.groups)?;
    let email = optional("email", request.email)?;
    let email = email.map(|email| parse::<EmailAddress>("email", &email)).transpose()?;
    let slack = optional("slack_id", request.slack_id)?;
    let slack = slack.map(|member| parse::<SlackId>("slack_id", &member)).transpose()?;
    let change = UserChange {
        roles: request.set_roles.then(|| roles(&request.roles)).transpose()?,
        project: optional("project", request.project)?,
        groups: request.set_groups.then_some(groups),
        email: request.set_email.then_some(email),
        slack: request.set_slack_id.then_some(slack),
        notify,
    };
    Ok((name("name", request.name)?, change))
}

/// What somebody wants to be told from now on, taken out of the request.
fn preferences_change(request: &mut v1::UpdateUserRequest) -> Taken<PreferencesChange> {
    let channels = std::mem::take(&mut request.notify_channels);
    let channels = match (request.set_notify_channels, request.any_channel) {
        (false, _) => None,
        (true, true) if !channels.is_empty() => {
            return Err(Refused::invalid(
                "notify_channels are given and any_channel is set",
                "Give one of the two.",
            ));
        }
        (true, true) => Some(None),
        (true, false) => Some(Some(channel_names(&channels)?)),
    };
    Ok(PreferencesChange {
        channels,
        events: events(&request.notify_events)?,
        quiet: unless_none("quiet_hours", &request.quiet_hours, QUIET_EXAMPLE)?,
        digest: unless_none("digest", &request.digest, DIGEST_EXAMPLE)?,
    })
}

fn channel_names(values: &[String]) -> Taken<Vec<ChannelName>> {
    few("notify_channels", values.len(), CHANNELS_MAX)?;
    let names = values.iter().map(|value| parse("notify_channels", value));
    let mut names = names.collect::<Taken<Vec<ChannelName>>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Nothing: as they are; `*`: any.
#[expect(clippy::option_option, reason = "as it is, none at all, or something")]
fn events(values: &[String]) -> Taken<Option<Option<Events>>> {
    // Each event, each kind of them, and `*`.
    few("notify_events", values.len(), Event::ALL.len() + 3)?;
    if values.is_empty() {
        return Ok(None);
    }
    if values.iter().any(|value| value == ANY_EVENT) {
        return Ok(Some(None));
    }
    let events = Events::read(values).map_err(|error| {
        let all: Vec<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        let next = format!("There are {}, approval.*, lease.* and *.", all.join(", "));
        Refused::invalid(format!("notify_events: {error}"), next)
    })?;
    Ok(Some(Some(events)))
}

/// Nothing: as it is; `none`: taken away.
#[expect(clippy::option_option, reason = "as it is, none at all, or something")]
fn unless_none<T>(field: &str, value: &str, example: &str) -> Taken<Option<Option<T>>>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match value {
        "" => Ok(None),
        NONE => Ok(Some(None)),
        value => {
            at_most(field, value.to_owned(), NAME_BYTES_MAX)?;
            let read = parse(field, value).map_err(|refused| Refused {
                next: format!("Write \"{example}\", or none."),
                ..refused
            })?;
            Ok(Some(Some(read)))
        }
    }
}

/// A person.
pub(in crate::grpc) fn user(user: &UserRecord) -> v1::User {
    v1::User {
        id: user.id.to_string(),
        name: user.name.to_string(),
        roles: roles_out(user.roles),
        groups: user.groups.clone(),
        enabled: user.enabled,
        created_at: Some(time_out(user.created_at)),
        last_used_at: user.last_used_at.map(time_out),
        project_roles: user.project_roles.iter().map(project_roles).collect(),
        email: user.email().map(|email| email.to_string()).unwrap_or_default(),
        slack_id: user.contact.slack.as_ref().map(ToString::to_string).unwrap_or_default(),
        notify: Some(preferences(&user.contact)),
    }
}

fn preferences(contact: &Contact) -> v1::NotifyPreferences {
    let preferences = &contact.preferences;
    let channels = preferences.channels.as_deref().unwrap_or_default();
    let events = preferences.events.map(Events::names).unwrap_or_default();
    v1::NotifyPreferences {
        channels: channels.iter().map(ToString::to_string).collect(),
        limit_channels: preferences.channels.is_some(),
        events: events.into_iter().map(str::to_owned).collect(),
        quiet_hours: preferences
            .quiet
            .as_ref()
            .map(|at| at.as_str().to_owned())
            .unwrap_or_default(),
        digest: preferences.digest.as_ref().map(|at| at.as_str().to_owned()).unwrap_or_default(),
    }
}

fn project_roles(there: &ProjectRoles) -> v1::ProjectRoles {
    v1::ProjectRoles { project: there.project_name.clone(), roles: roles_out(there.roles) }
}

fn roles_out(roles: Roles) -> Vec<i32> {
    roles.iter().map(|role| role_out(role).into()).collect()
}

/// A person and their token, which goes to whoever made it, once.
pub(in crate::grpc) fn user_with_token(record: &UserRecord, token: &Token) -> v1::UserWithToken {
    v1::UserWithToken { user: Some(user(record)), token: token.expose().to_string() }
}

fn role(value: i32) -> Taken<Role> {
    match v1::Role::try_from(value) {
        Ok(v1::Role::Approver) => Ok(Role::Approver),
        Ok(v1::Role::Auditor) => Ok(Role::Auditor),
        Ok(v1::Role::Operator) => Ok(Role::Operator),
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Unspecified) | Err(_) => Err(unknown("roles", value)),
    }
}

const fn role_out(role: Role) -> v1::Role {
    match role {
        Role::Approver => v1::Role::Approver,
        Role::Auditor => v1::Role::Auditor,
        Role::Operator => v1::Role::Operator,
        Role::Admin => v1::Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_reads_back_as_it_is_written_and_no_other_is_taken() {
        for one in Role::ALL {
            assert_eq!(role(role_out(one).into()), Ok(one));
        }
        for value in [0, 5, -1] {
            let message = format!("roles has the value {value}, which this daemon does not know");
            assert_eq!(roles(&[1, value]).unwrap_err().message, message);
        }
    }

    fn request() -> v1::UpdateUserRequest {
        v1::UpdateUserRequest { name: "jane".to_owned(), ..Default::default() }
    }

    fn change(request: v1::UpdateUserRequest) -> UserChange {
        let (name, change) = user_change(request).unwrap();
        assert_eq!(name, "jane");
        change
    }

    fn refusal(request: v1::UpdateUserRequest) -> String {
        user_change(request).unwrap_err().message
    }

    #[test]
    fn a_change_replaces_what_is_switched_and_leaves_the_rest() {
        assert_eq!(change(request()), UserChange::default());
        let groups = || vec!["oncall".to_owned()];
        let to = v1::UpdateUserRequest { groups: groups(), ..request() };
        assert_eq!(refusal(to.clone()), "groups are given and set_groups is not set");
        assert_eq!(
            change(v1::UpdateUserRequest { set_groups: true, set_roles: true, ..to }),
            UserChange {
                roles: Some(Roles::NONE),
                groups: Some(groups()),
                ..UserChange::default()
            }
        );
    }

    #[test]
    fn where_messages_reach_somebody_is_set_and_taken_away() {
        let email = || "jane@example.com".to_owned();
        let to = v1::UpdateUserRequest { email: email(), ..request() };
        assert_eq!(refusal(to.clone()), "an email is given and set_email is not set");
        let set = change(v1::UpdateUserRequest { set_email: true, ..to });
        assert_eq!(set.email, Some(email().parse().ok()));
        let taken =
            change(v1::UpdateUserRequest { set_email: true, set_slack_id: true, ..request() });
        assert_eq!((taken.email, taken.slack), (Some(None), Some(None)));
        let bad = v1::UpdateUserRequest {
            slack_id: "#general".to_owned(),
            set_slack_id: true,
            ..request()
        };
        assert!(refusal(bad).starts_with("slack_id: a Slack member's id looks like U024BE7LH"));
        let bad = v1::UpdateUserRequest {
            email: "a@x\r\nBcc: b@y".to_owned(),
            set_email: true,
            ..request()
        };
        assert!(refusal(bad).starts_with("email: an e-mail address has a name"));
    }

    #[test]
    fn preferences_are_limits_that_can_be_taken_away() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let to = v1::UpdateUserRequest {
            notify_channels: names(&["slack:ops", "email", "email"]),
            notify_events: names(&["approval.*", "alert"]),
            quiet_hours: "22:00-07:00 Europe/Berlin".to_owned(),
            digest: "0 9 * * Mon-Fri Europe/Berlin".to_owned(),
            ..request()
        };
        assert_eq!(
            refusal(to.clone()),
            "notify_channels are given and set_notify_channels is not set"
        );
        let to = v1::UpdateUserRequest { set_notify_channels: true, ..to };
        assert_eq!(
            refusal(v1::UpdateUserRequest { any_channel: true, ..to.clone() }),
            "notify_channels are given and any_channel is set"
        );
        let set = change(to).notify;
        let both = vec![ChannelName::email(), "slack:ops".parse().unwrap()];
        assert_eq!(set.channels, Some(Some(both)));
        assert_eq!(set.events, Some(Events::read(["approval.*", "alert"]).ok()));
        let mut kept = vouchsafe_core::route::Preferences::default();
        set.apply(&mut kept);
        let contact = Contact { preferences: kept.clone(), ..Contact::default() };
        let told = preferences(&contact);
        assert_eq!((told.limit_channels, told.channels), (true, names(&["email", "slack:ops"])));
        assert_eq!(told.events.len(), 6);
        assert_eq!(told.quiet_hours, "22:00-07:00 Europe/Berlin");
        assert_eq!(told.digest, "0 9 * * Mon-Fri Europe/Berlin");
        change(request()).notify.apply(&mut kept);
        assert_eq!(kept, contact.preferences, "what is not given stays");
        let taken = change(v1::UpdateUserRequest {
            set_notify_channels: true,
            any_channel: true,
            notify_events: names(&["*"]),
            quiet_hours: "none".to_owned(),
            digest: "none".to_owned(),
            ..request()
        });
        taken.notify.apply(&mut kept);
        assert_eq!(kept, vouchsafe_core::route::Preferences::default());
        let silent = change(v1::UpdateUserRequest { set_notify_channels: true, ..request() });
        assert_eq!(silent.notify.channels, Some(Some(Vec::new())));
    }

    #[test]
    fn preferences_that_mean_nothing_are_refused() {
        for (to, said) in [
            (
                v1::UpdateUserRequest { notify_events: vec!["approval.x".to_owned()], ..request() },
                "notify_events: `approval.x` is no event",
            ),
            (
                v1::UpdateUserRequest { quiet_hours: "22:00-07:00".to_owned(), ..request() },
                "quiet_hours: ",
            ),
            (v1::UpdateUserRequest { digest: "at nine".to_owned(), ..request() }, "digest: "),
            (
                v1::UpdateUserRequest { digest: "9".repeat(201), ..request() },
                "digest has 201 bytes",
            ),
            (
                v1::UpdateUserRequest {
                    notify_channels: vec!["pager".to_owned()],
                    set_notify_channels: true,
                    ..request()
                },
                "notify_channels: a channel is email",
            ),
        ] {
            let refused = refusal(to);
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}
