use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use vouchsafe_core::caller::{Contact, ProjectRoles};
use vouchsafe_core::id::{ProjectId, UserId};
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1::FILE_DESCRIPTOR_SET;

use super::*;

const SHOP: [u8; 10] = [7; 10];

fn user(roles: &[Role]) -> UserRecord {
    UserRecord {
        id: UserId::from_random([0; 10]),
        name: "jane".parse().unwrap(),
        roles: roles.iter().copied().collect(),
        project_roles: Vec::new(),
        groups: Vec::new(),
        enabled: true,
        contact: Contact::default(),
        created_at: UnixTime::from_ms(0),
        last_used_at: None,
    }
}

/// Somebody with these roles in one project alone.
fn of_shop(roles: &[Role]) -> UserRecord {
    let there = ProjectRoles {
        project: ProjectId::from_random(SHOP),
        project_name: "shop".to_owned(),
        roles: roles.iter().copied().collect(),
    };
    UserRecord { project_roles: vec![there], ..user(&[]) }
}

#[test]
fn every_method_of_the_contract_is_in_the_table_and_nothing_else() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut contract = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == "vouchsafe.v1") {
        for service in &file.service {
            let path = |method: &str| format!("/vouchsafe.v1.{}/{method}", service.name());
            contract.extend(service.method.iter().map(|method| path(method.name())));
        }
    }
    let table: Vec<_> = METHODS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(table, contract.into_iter().collect::<Vec<_>>(), "sorted, each once");
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    for path in ["/vouchsafe.v1.Users/DeleteUser", "/vouchsafe.v2.Users/ListUsers", "/", ""] {
        assert_eq!(needs(path).unwrap_err().code(), tonic::Code::Unimplemented, "{path}");
    }
}

/// Who may call what, as one would read it off a wall: approver, auditor, operator, admin, nobody;
/// then the same roles in one project alone. `x`: everywhere; `p`: in that project. `UPDATE=1`
/// writes it anew.
#[test]
fn the_matrix_of_roles_and_methods_is_as_it_was_decided() {
    let roles = Role::ALL.map(|role| [role]);
    let mut everybody: Vec<_> = roles.iter().map(|roles| user(roles)).collect();
    everybody.push(user(&[]));
    let shop: Vec<_> = roles.iter().map(|roles| of_shop(roles)).collect();
    let cell = |path, needs, user: &UserRecord| match check(path, needs, user) {
        Ok(Reach::Everywhere) => 'x',
        Ok(Reach::Projects(projects)) => {
            assert_eq!(projects, BTreeSet::from([ProjectId::from_random(SHOP)]));
            'p'
        }
        Err(_) => '.',
    };
    let mut matrix = String::new();
    for (path, needs) in METHODS {
        matrix.extend(everybody.iter().map(|user| cell(path, *needs, user)));
        matrix.push(' ');
        matrix.extend(shop.iter().map(|user| cell(path, *needs, user)));
        matrix.extend([" ", &path["/vouchsafe.v1.".len()..], "\n"]);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grpc/gate/matrix.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &matrix).unwrap();
    }
    assert_eq!(matrix, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn a_refusal_names_the_role_needed_and_the_users_own() {
    let refused =
        |needs, roles: &[Role]| check("/vouchsafe.v1.A/Do", needs, &user(roles)).unwrap_err();
    let one = refused(VOTE, &[Role::Auditor]);
    assert_eq!(one.code, Code::RoleNeeded);
    assert_eq!(one.message, "Do needs the role approver, and jane has auditor");
    assert_eq!(one.next, "Ask an admin for the role approver, or sign in as somebody who has it.");
    assert_eq!(
        refused(REVOKE, &[]).message,
        "Do needs the role approver or operator, and jane has no role"
    );
    assert_eq!(
        refused(ADMINISTER, &[Role::Approver, Role::Auditor, Role::Operator]).message,
        "Do needs the role admin, and jane has approver, auditor and operator"
    );
    let there = check("/vouchsafe.v1.A/Do", OPERATE.of_everything(), &of_shop(&[Role::Operator]));
    assert_eq!(
        there.unwrap_err().message,
        "Do needs the role operator in all projects, and jane has operator in shop"
    );
    let there = check("/vouchsafe.v1.A/Do", VOTE, &of_shop(&[Role::Operator]));
    assert_eq!(
        there.unwrap_err().message,
        "Do needs the role approver, and jane has operator in shop"
    );
}

#[test]
fn a_credential_is_one_bearer_token() {
    let cases: [(&[&str], Option<&str>); _] = [
        (&["Bearer vs_user_1"], Some("vs_user_1")),
        (&["bearer  vs_user_1 "], Some("vs_user_1")),
        (&["Basic dTpw"], None),
        (&["vs_user_1"], None),
        (&[], None),
        (&["Bearer a", "Bearer b"], None),
    ];
    for (values, found) in cases {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(bearer(&headers), found, "{values:?}");
    }
}
