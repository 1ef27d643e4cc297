//! Who may look at what, and do what: one table, asked before anything is read.

use vouchsafe_core::caller::{Reach, Role, UserRecord};

use crate::broker::{Code, Refused};

/// A page, or what is done on one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// What waits for people.
    Inbox,
    /// One approval.
    Approval,
    /// Answering one.
    Answer,
    /// Leases.
    Leases,
    /// Ending leases.
    Revoke,
    /// Secrets, without values.
    Secrets,
    /// MCP keys.
    Keys,
    /// The log.
    Audit,
    /// Messages to people.
    Deliveries,
    /// What messages go over.
    Channels,
    /// Sending messages again.
    Retry,
}

const LOOK: &[Role] = &[Role::Approver, Role::Operator, Role::Auditor];
const INSPECT: &[Role] = &[Role::Operator, Role::Auditor];

/// Every place: who may, whether they have to in all projects, and what it is called.
const PLACES: &[(Place, &[Role], bool, &str)] = &[
    (Place::Inbox, LOOK, false, "Inbox"),
    (Place::Approval, LOOK, false, "This approval"),
    (Place::Answer, &[Role::Approver], false, "Answering"),
    (Place::Leases, LOOK, false, "Leases"),
    (Place::Revoke, &[Role::Approver, Role::Operator], false, "Revoking"),
    (Place::Secrets, INSPECT, false, "Secrets"),
    (Place::Keys, INSPECT, false, "Keys"),
    (Place::Audit, &[Role::Auditor], false, "Audit"),
    (Place::Deliveries, LOOK, false, "Deliveries"),
    (Place::Channels, INSPECT, true, "Channels"),
    (Place::Retry, &[Role::Operator], true, "Sending again"),
];

/// The places that are in the menu, and where they are.
pub(super) const MENU: [(Place, &str); 6] = [
    (Place::Inbox, "/inbox"),
    (Place::Leases, "/leases"),
    (Place::Secrets, "/secrets"),
    (Place::Keys, "/keys"),
    (Place::Audit, "/audit"),
    (Place::Deliveries, "/deliveries"),
];

impl Place {
    /// What it is called.
    pub(super) fn label(self) -> &'static str {
        PLACES.iter().find(|(place, ..)| *place == self).map_or("", |(.., label)| label)
    }

    /// Where somebody may, or why they may nowhere.
    pub(super) fn check(self, user: &UserRecord) -> Result<Reach, Refused> {
        let row = PLACES.iter().find(|(place, ..)| *place == self);
        let Some((_, roles, everywhere, label)) = row else { return Err(Refused::internal()) };
        let reach = user.reach(roles);
        let reaches = match &reach {
            Reach::Everywhere => true,
            Reach::Projects(projects) => !everywhere && !projects.is_empty(),
        };
        if reaches {
            return Ok(reach);
        }
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let wanted = match names.as_slice() {
            [front @ .., end] if !front.is_empty() => format!("{} or {end}", front.join(", ")),
            names => names.concat(),
        };
        let place =
            if *everywhere && !user.project_roles.is_empty() { " in all projects" } else { "" };
        Err(Refused::new(
            Code::RoleNeeded,
            format!("{label} needs the role {wanted}{place}, which {} does not have", user.name),
            format!("Ask an admin for the role {wanted}, or sign in as somebody who has it."),
        ))
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::caller::{Contact, ProjectRoles, Roles};
    use vouchsafe_core::id::{ProjectId, UserId};
    use vouchsafe_core::time::UnixTime;

    use super::*;

    fn user(everywhere: &[Role], shop: &[Role]) -> UserRecord {
        let project = ProjectId::from_random([1; 10]);
        UserRecord {
            id: UserId::from_random([2; 10]),
            name: "jane".parse().unwrap(),
            roles: everywhere.iter().copied().collect(),
            project_roles: vec![ProjectRoles {
                project,
                project_name: "shop".to_owned(),
                roles: shop.iter().copied().collect::<Roles>(),
            }],
            groups: Vec::new(),
            enabled: true,
            contact: Contact::default(),
            created_at: UnixTime::from_ms(0),
            last_used_at: None,
        }
    }

    #[test]
    fn who_may_is_a_table() {
        let may = |user: &UserRecord| -> String {
            let letter = |(place, ..): &(Place, _, _, _)| match place.check(user) {
                Ok(Reach::Everywhere) => 'A',
                Ok(Reach::Projects(_)) => 'p',
                Err(_) => '-',
            };
            PLACES.iter().map(letter).collect()
        };
        for (everywhere, shop, expected) in [
            (&[][..], &[][..], "-----------"),
            (&[Role::Approver], &[], "AAAAA---A--"),
            (&[Role::Auditor], &[], "AA-A-AAAAA-"),
            (&[Role::Operator], &[], "AA-AAAA-AAA"),
            (&[Role::Admin], &[], "AAAAAAAAAAA"),
            (&[], &[Role::Approver], "ppppp---p--"),
            (&[], &[Role::Operator], "pp-pppp-p--"),
            (&[Role::Auditor], &[Role::Approver], "AApApAAAAA-"),
        ] {
            assert_eq!(may(&user(everywhere, shop)), expected, "{everywhere:?} {shop:?}");
        }
    }

    #[test]
    fn every_place_of_the_menu_has_a_name() {
        assert!(
            MENU.iter().all(|(place, path)| !place.label().is_empty() && path.starts_with('/'))
        );
    }
}
