use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use vouchsafe_core::id::UserId;
use vouchsafe_proto::v1::FILE_DESCRIPTOR_SET;

use super::*;

fn user(roles: &[Role]) -> User {
    User {
        id: UserId::from_random([0; 10]),
        name: "jane".to_owned(),
        roles: roles.iter().copied().collect(),
        token: "0".to_owned(),
    }
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

/// Who may call what, as one would read it off a wall: approver, auditor, operator, admin, nobody.
#[test]
fn the_matrix_of_roles_and_methods_is_as_it_was_decided() {
    let everybody = [
        user(&[Role::Approver]),
        user(&[Role::Auditor]),
        user(&[Role::Operator]),
        user(&[Role::Admin]),
        user(&[]),
    ];
    let matrix: String = METHODS
        .iter()
        .flat_map(|(path, needs)| {
            let row = everybody.each_ref().map(|user| match check(path, *needs, user) {
                Ok(()) => 'x',
                Err(_) => '.',
            });
            let line =
                [&row.iter().collect::<String>(), " ", &path["/vouchsafe.v1.".len()..], "\n"];
            line.map(str::to_owned)
        })
        .collect();
    assert_eq!(matrix, include_str!("matrix.txt"));
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
