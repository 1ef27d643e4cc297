//! People.

use vouchsafe_core::caller::{ProjectRoles, Role, Roles, UserRecord};
use vouchsafe_core::token::Token;
use vouchsafe_proto::v1;

use super::time::time_out;
use super::{Taken, few, name, names, optional, unknown};
use crate::broker::Refused;

/// What is to change about a user.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::grpc) struct UserChange {
    pub(in crate::grpc) name: String,
    pub(in crate::grpc) roles: Option<Roles>,
    pub(in crate::grpc) groups: Option<Vec<String>>,
    /// The project whose roles are replaced; none: those that hold in all.
    pub(in crate::grpc) project: Option<String>,
}

/// What a person may do.
pub(in crate::grpc) fn roles(values: &[i32]) -> Taken<Roles> {
    few("roles", values.len(), Role::ALL.len())?;
    values.iter().map(|value| role(*value)).collect()
}

/// What is to change. A list that is given without its switch was meant, and is not passed over.
pub(in crate::grpc) fn user_change(request: v1::UpdateUserRequest) -> Taken<UserChange> {
    let forgotten = |list, switch| {
        Refused::invalid(
            format!("{list} are given and {switch} is not set"),
            format!("Set {switch} to replace the {list}."),
        )
    };
    if !request.set_roles && !request.roles.is_empty() {
        return Err(forgotten("roles", "set_roles"));
    }
    if !request.set_groups && !request.groups.is_empty() {
        return Err(forgotten("groups", "set_groups"));
    }
    if !request.set_roles && !request.project.is_empty() {
        return Err(forgotten("roles of a project", "set_roles"));
    }
    let groups = names("groups", request.groups)?;
    Ok(UserChange {
        name: name("name", request.name)?,
        roles: request.set_roles.then(|| roles(&request.roles)).transpose()?,
        groups: request.set_groups.then_some(groups),
        project: optional("project", request.project)?,
    })
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
        notify: None,
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

    #[test]
    fn a_change_replaces_what_is_switched_and_leaves_the_rest() {
        let request = || v1::UpdateUserRequest {
            name: "jane".to_owned(),
            groups: vec!["oncall".to_owned()],
            ..v1::UpdateUserRequest::default()
        };
        assert_eq!(
            user_change(request()).unwrap_err().message,
            "groups are given and set_groups is not set"
        );
        let change =
            user_change(v1::UpdateUserRequest { set_groups: true, set_roles: true, ..request() });
        let groups = Some(vec!["oncall".to_owned()]);
        assert_eq!(
            change,
            Ok(UserChange {
                name: "jane".to_owned(),
                roles: Some(Roles::NONE),
                groups,
                project: None
            })
        );
    }
}
