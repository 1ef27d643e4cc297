//! What people see, and what they may do to each other.

use tonic::Code;
use vouchsafe_proto::v1::{
    ApprovalStatus, DisableUserRequest, EnableUserRequest, IssueTokenRequest, ListApprovalsRequest,
    PageRequest, Role, ShowUserRequest, UpdateUserRequest, WatchApprovalsRequest, WhoAmIRequest,
};
use vouchsafe_tests::events::within;

use crate::{check_code, check_said, prompt_daemon};

#[tokio::test]
async fn a_watch_tells_what_is_pending_then_each_change() {
    let daemon = prompt_daemon().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let first = claude.read("production/DB").await.approval();
    let request = WatchApprovalsRequest::default();
    let mut watch = bob.approvals().watch_approvals(request).await.unwrap().into_inner();
    let mut next = async || within("an event", watch.message()).await.unwrap().unwrap();
    let told = next().await;
    assert_eq!((told.approval.unwrap().id, told.caught_up), (first.clone(), false));
    let told = next().await;
    assert_eq!((told.approval, told.caught_up), (None, true));
    let second = claude.read("production/API").await.approval();
    assert_eq!(next().await.approval.unwrap().id, second);
    let shown = bob.show(&first).await.unwrap();
    daemon.grpc("cat").deny(&shown, "no").await.unwrap();
    let told = next().await.approval.unwrap();
    assert_eq!((told.id.as_str(), told.status()), (first.as_str(), ApprovalStatus::Denied));
    let request = DisableUserRequest { name: "bob".to_owned(), reason: String::new() };
    daemon.admin().users().disable_user(request).await.unwrap();
    claude.read("own/NOTE").await;
    check_code(within("the end", watch.message()).await, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test]
async fn approvals_are_listed_by_status_resource_and_key_in_pages() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let mut ids = Vec::new();
    for path in ["production/DB", "production/API", "own/NOTE"] {
        ids.push(daemon.agent("claude").read(path).await.approval());
    }
    ids.push(daemon.agent("cursor").read("production/DB").await.approval());
    let shown = bob.show(&ids[0]).await.unwrap();
    bob.deny(&shown, "no").await.unwrap();
    let found = async |request: ListApprovalsRequest| {
        let answer = bob.approvals().list_approvals(request).await.unwrap().into_inner();
        let mut found: Vec<_> = answer.approvals.into_iter().map(|a| a.id).collect();
        found.sort();
        found
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let all = ListApprovalsRequest::default;
    assert_eq!(found(all()).await, sorted(ids.clone()));
    let pending = ListApprovalsRequest { statuses: vec![ApprovalStatus::Pending.into()], ..all() };
    assert_eq!(found(pending).await, sorted(ids[1..].to_vec()));
    let resource = "vouchsafe://secrets/production/*".to_owned();
    let production = ListApprovalsRequest { resource, ..all() };
    assert_eq!(found(production).await, sorted([&ids[..2], &ids[3..]].concat()));
    let cursor = ListApprovalsRequest { key: "cursor".to_owned(), ..all() };
    assert_eq!(found(cursor).await, ids[3..]);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListApprovalsRequest { page: Some(PageRequest { size: 1, token }), ..all() };
        let answer = bob.approvals().list_approvals(request).await.unwrap().into_inner();
        seen.extend(answer.approvals.into_iter().map(|a| a.id));
        token = answer.next_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sorted(seen), sorted(ids));
}

#[tokio::test]
async fn an_approver_sees_what_a_key_has_had_before() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let history = async |id: &str| daemon.grpc("bob").show(id).await.unwrap().history.unwrap();
    let first = claude.read("production/DB").await.approval();
    let before = history(&first).await;
    assert_eq!((before.had_before, before.asks_today), (false, 1));
    crate::lease_on(&daemon, &claude, "production/API").await;
    daemon.advance(crate::minutes(20)).await;
    let again = claude.read("production/API").await.approval();
    let before = history(&again).await;
    assert_eq!((before.had_before, before.asks_today), (true, 3));
    daemon.advance(crate::minutes(14 * 60)).await;
    claude.read("production/API").await;
    let tomorrow = history(&claude.read("production/API").await.approval()).await;
    assert_eq!((tomorrow.had_before, tomorrow.asks_today), (true, 1));
}

#[tokio::test]
async fn a_token_is_dead_once_another_is_issued_or_its_owner_is_disabled() {
    let mut daemon = prompt_daemon().await;
    let mut admin = daemon.admin().users();
    let who = async |person: vouchsafe_tests::grpc::Person| {
        person
            .status()
            .who_am_i(WhoAmIRequest {})
            .await
            .map(|me| me.into_inner().user.unwrap().name)
    };
    let old = daemon.grpc("bob");
    assert_eq!(who(old.clone()).await.unwrap(), "bob");
    let request = IssueTokenRequest { name: "bob".to_owned() };
    let issued = admin.issue_token(request.clone()).await.unwrap().into_inner();
    daemon.set_token("bob", issued.token);
    check_said(
        who(old).await,
        Code::Unauthenticated,
        "UNAUTHENTICATED",
        "the token is unknown, or was replaced by a newer one",
        "An admin makes a token with `vouchsafe users token NAME`.",
    );
    assert_eq!(who(daemon.grpc("bob")).await.unwrap(), "bob");
    let disable = DisableUserRequest { name: "bob".to_owned(), reason: "left".to_owned() };
    admin.disable_user(disable).await.unwrap();
    check_code(who(daemon.grpc("bob")).await, Code::Unauthenticated, "UNAUTHENTICATED");
    check_code(admin.issue_token(request).await, Code::Unauthenticated, "USER_DISABLED");
    admin.enable_user(EnableUserRequest { name: "bob".to_owned() }).await.unwrap();
    check_code(who(daemon.grpc("bob")).await, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test]
async fn the_last_admin_stays() {
    let daemon = prompt_daemon().await;
    let mut users = daemon.admin().users();
    let request = UpdateUserRequest {
        name: "admin".to_owned(),
        roles: vec![Role::Auditor.into()],
        set_roles: true,
        ..UpdateUserRequest::default()
    };
    check_said(
        users.update_user(request).await,
        Code::FailedPrecondition,
        "LAST_ADMIN",
        "`admin` is the last admin",
        "Give somebody else the role first: `vouchsafe users update NAME --roles admin`.",
    );
    let request = DisableUserRequest { name: "admin".to_owned(), reason: String::new() };
    check_code(users.disable_user(request).await, Code::FailedPrecondition, "LAST_ADMIN");
    let admin = users.show_user(ShowUserRequest { name: "admin".to_owned() }).await.unwrap();
    assert!(admin.into_inner().enabled);
}
