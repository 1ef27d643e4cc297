//! Projects, and people who have something to do with some of them.

use reqwest::StatusCode;
use serde_json::json;
use tonic::Code;
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::{
    ArchiveProjectRequest, AuditFilter, CreateKeyRequest, CreateProjectRequest, CreateUserRequest,
    ExportAuditRequest, ListKeysRequest, ListProjectsRequest, ListSecretsRequest, ListUsersRequest,
    PutSecretRequest, RestoreProjectRequest, Role, UpdateUserRequest, WhoAmIRequest,
};
use vouchsafe_tests::daemon::TestDaemon;

use crate::keys::{check_turned_away, knock};
use crate::{check_code, check_said, prompt_daemon};

const NO_PROJECTS: &str = "`vouchsafe projects list` shows which there are.";

fn key(project: &str, name: &str) -> CreateKeyRequest {
    CreateKeyRequest {
        project: project.to_owned(),
        name: name.to_owned(),
        rate: RATE_MAX,
        ..CreateKeyRequest::default()
    }
}

/// A daemon with a second project, `shop`, its key `till` and its secret.
pub(crate) async fn daemon_with_shop() -> TestDaemon {
    let mut daemon = prompt_daemon().await;
    let request = CreateProjectRequest { name: "shop".to_owned(), monthly: 0 };
    daemon.admin().projects().create_project(request).await.unwrap();
    daemon.add_key_as(key("shop", "till")).await;
    daemon.admin().secrets().put_secret(secret("till/PIN")).await.unwrap();
    daemon
}

fn secret(path: &str) -> PutSecretRequest {
    PutSecretRequest {
        project: "shop".to_owned(),
        path: path.to_owned(),
        value: b"1234".to_vec(),
        ..PutSecretRequest::default()
    }
}

/// Somebody with this role in `shop` and nowhere else.
async fn add_shopkeeper(daemon: &mut TestDaemon, name: &str, role: Role) {
    let request = CreateUserRequest {
        name: name.to_owned(),
        roles: vec![role.into()],
        groups: Vec::new(),
        project: "shop".to_owned(),
    };
    let made = daemon.admin().users().create_user(request).await.unwrap().into_inner();
    daemon.set_token(name, made.token);
}

#[tokio::test]
async fn nothing_of_one_project_shows_in_another() {
    let daemon = daemon_with_shop().await;
    let till = daemon.agent("till");
    assert_eq!(knock(&till.at(&daemon.url("/mcp/shop"))).await.status, StatusCode::OK);
    for (agent, door) in [(&till, "/mcp/default"), (&daemon.agent("claude"), "/mcp/shop")] {
        check_turned_away(
            &knock(&agent.at(&daemon.url(door))).await,
            403,
            "WRONG_PROJECT",
            "the key belongs to another project than the one in the address",
            "Use the address /mcp, or a key of that project.",
        );
    }
    let listed = till.call("list_secrets", json!({})).await;
    assert!(!listed.content.to_string().contains("production"), "{listed:?}");
    let listed = daemon.agent("claude").call("list_secrets", json!({})).await;
    assert!(!listed.content.to_string().contains("till"), "{listed:?}");
}

#[tokio::test]
async fn an_archived_project_keeps_everything_and_gives_nothing() {
    let mut daemon = daemon_with_shop().await;
    let mut projects = daemon.admin().projects();
    let archive =
        |name: &str| ArchiveProjectRequest { name: name.to_owned(), reason: String::new() };
    check_said(
        projects.archive_project(archive("default")).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "the project `default` cannot be archived",
        "Disable its keys instead.",
    );
    projects.archive_project(archive("shop")).await.unwrap();
    let next = "An operator takes it back into use with `vouchsafe projects restore shop`.";
    let message = "the project `shop` is archived";
    let exchange = knock(&daemon.agent("till")).await;
    check_turned_away(&exchange, 403, "PROJECT_ARCHIVED", message, next);
    let put = daemon.admin().secrets().put_secret(secret("till/OTHER")).await;
    check_said(put, Code::PermissionDenied, "PROJECT_ARCHIVED", message, next);
    let made = daemon.admin().keys().create_key(key("shop", "drawer")).await;
    check_said(made, Code::PermissionDenied, "PROJECT_ARCHIVED", message, next);
    let list = async |archived| {
        let listed =
            daemon.admin().projects().list_projects(ListProjectsRequest { archived }).await;
        let names = listed.unwrap().into_inner().projects.into_iter().map(|project| project.name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(list(false).await, ["default"]);
    assert_eq!(list(true).await, ["default", "shop"]);
    let again = CreateProjectRequest { name: "shop".to_owned(), monthly: 0 };
    check_said(
        projects.create_project(again).await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
        "there is a project `shop` already",
        "Take it back into use with `vouchsafe projects restore shop`.",
    );
    let request = RestoreProjectRequest { name: "shop".to_owned() };
    let shop = projects.restore_project(request).await.unwrap().into_inner();
    assert_eq!((shop.keys, shop.secrets), (1, 1));
    assert_eq!(knock(&daemon.agent("till")).await.status, StatusCode::OK);
    daemon.add_key_as(key("shop", "drawer")).await;
}

#[tokio::test]
async fn who_operates_one_project_sees_and_does_nothing_outside_it() {
    let mut daemon = daemon_with_shop().await;
    add_shopkeeper(&mut daemon, "ida", Role::Operator).await;
    let ida = daemon.grpc("ida");
    let list = |project: &str| ListKeysRequest { project: project.to_owned(), page: None };
    for project in ["", "shop"] {
        let keys = ida.keys().list_keys(list(project)).await.unwrap().into_inner().keys;
        assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["till"]);
    }
    ida.keys().create_key(key("", "drawer")).await.unwrap();
    for project in ["default", "nowhere"] {
        let message = format!("there is no project `{project}`");
        let there = |answer| {
            check_said(answer, Code::NotFound, "PROJECT_NOT_FOUND", &message, NO_PROJECTS);
        };
        there(ida.keys().list_keys(list(project)).await.map(drop));
        there(ida.keys().create_key(key(project, "sneaky")).await.map(drop));
        let put = PutSecretRequest { project: project.to_owned(), ..secret("production/DB") };
        there(ida.secrets().put_secret(put).await.map(drop));
        let secrets = ListSecretsRequest { project: project.to_owned(), ..Default::default() };
        there(ida.secrets().list_secrets(secrets).await.map(drop));
    }
    let projects = ida.projects().list_projects(ListProjectsRequest { archived: true }).await;
    let projects = projects.unwrap().into_inner().projects;
    assert_eq!(projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    check_said(
        ida.users().list_users(ListUsersRequest { page: None }).await,
        Code::PermissionDenied,
        "ROLE_NEEDED",
        "ListUsers needs the role operator or auditor in all projects, and ida has operator in shop",
        "Ask an admin for the role operator or auditor, or sign in as somebody who has it.",
    );
    let who = ida.status().who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().user.unwrap();
    assert!(who.roles.is_empty());
    assert_eq!(who.project_roles[0].project, "shop");
    assert_eq!(who.project_roles[0].roles, [i32::from(Role::Operator)]);
}

#[tokio::test]
async fn who_audits_or_approves_for_one_project_sees_its_asks_and_entries_alone() {
    let mut daemon = daemon_with_shop().await;
    add_shopkeeper(&mut daemon, "ida", Role::Approver).await;
    add_shopkeeper(&mut daemon, "max", Role::Auditor).await;
    let asked = daemon.agent("claude").read("production/DB").await;
    let (ida, max) = (daemon.grpc("ida"), daemon.grpc("max"));
    assert_eq!(ida.list(&[]).await.len(), 0);
    check_code(ida.show(&asked.approval()).await, Code::NotFound, "APPROVAL_NOT_FOUND");
    let approval = daemon.grpc("bob").show(&asked.approval()).await.unwrap();
    check_code(ida.approve(&approval).await, Code::NotFound, "APPROVAL_NOT_FOUND");
    let log = max.log(AuditFilter::default()).await;
    assert!(!log.is_empty());
    assert!(log.iter().all(|entry| entry["project"] == "shop"), "{log:?}");
    let other = AuditFilter { approval: approval.id.clone(), ..AuditFilter::default() };
    let other = vouchsafe_proto::v1::QueryAuditRequest { filter: Some(other), page: None };
    check_code(max.audit().query_audit(other).await, Code::NotFound, "APPROVAL_NOT_FOUND");
    let exported = max.audit().export_audit(ExportAuditRequest::default()).await;
    check_code(exported, Code::PermissionDenied, "ROLE_NEEDED");
    // The role goes with the project's, not with the others.
    let request = UpdateUserRequest {
        name: "max".to_owned(),
        set_roles: true,
        project: "shop".to_owned(),
        ..UpdateUserRequest::default()
    };
    daemon.admin().users().update_user(request).await.unwrap();
    check_code(
        max.audit().query_audit(vouchsafe_proto::v1::QueryAuditRequest::default()).await,
        Code::PermissionDenied,
        "ROLE_NEEDED",
    );
}
