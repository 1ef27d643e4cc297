//! Where messages reach people, and which they want.

use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::{
    CreateSignInCodeRequest, NotifyPreferences, ShowUserRequest, UpdateUserRequest, User,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::grpc::Person;

use crate::{check_code, check_said, prompt_daemon};

/// A channel that takes nothing: nobody listens there.
const OPS: &str = r#"
[notify]
private_hosts = ["127.0.0.1"]
[notify.webhook.ops]
url = "http://127.0.0.1:9/ops"
template = "ntfy"
"#;

fn to(name: &str) -> UpdateUserRequest {
    UpdateUserRequest { name: name.to_owned(), ..UpdateUserRequest::default() }
}

fn email(name: &str, address: &str) -> UpdateUserRequest {
    UpdateUserRequest { email: address.to_owned(), set_email: true, ..to(name) }
}

fn slack(name: &str, member: &str) -> UpdateUserRequest {
    UpdateUserRequest { slack_id: member.to_owned(), set_slack_id: true, ..to(name) }
}

fn channels(name: &str, channels: &[&str]) -> UpdateUserRequest {
    let notify_channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
    UpdateUserRequest { notify_channels, set_notify_channels: true, ..to(name) }
}

async fn update(by: &Person, request: UpdateUserRequest) -> User {
    by.users().update_user(request).await.unwrap().into_inner()
}

async fn show(by: &Person, name: &str) -> User {
    let request = ShowUserRequest { name: name.to_owned() };
    by.users().show_user(request).await.unwrap().into_inner()
}

async fn last_entry(daemon: &TestDaemon) -> Value {
    daemon.admin().log_of("user.updated").await.pop().unwrap()
}

#[tokio::test]
async fn an_address_is_what_was_set_or_else_the_name() {
    let mut daemon = prompt_daemon().await;
    daemon.add_user("eve@example.com", &[], &[]).await;
    let admin = daemon.admin();
    assert_eq!(show(&admin, "eve@example.com").await.email, "eve@example.com");
    assert_eq!(show(&admin, "bob").await.email, "");
    assert_eq!(update(&admin, email("bob", "bob@example.com")).await.email, "bob@example.com");
    assert_eq!(last_entry(&daemon).await["details"]["email"], "bob@example.com");
    let moved = update(&admin, email("eve@example.com", "eve@example.org")).await;
    assert_eq!(moved.email, "eve@example.org");
    let back = update(&admin, email("eve@example.com", "")).await;
    assert_eq!(back.email, "eve@example.com");
    assert!(last_entry(&daemon).await["details"].get("email").is_none());
    assert_eq!(update(&admin, email("bob", "")).await.email, "");
    let injected = email("bob", "bob@example.com\r\nBcc: eve@example.com");
    check_said(
        admin.users().update_user(injected).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "email: an e-mail address has a name, an @ and a domain, in plain characters without blanks",
        "",
    );
}

#[tokio::test]
async fn one_member_of_a_workspace_is_one_user() {
    let daemon = prompt_daemon().await;
    let admin = daemon.admin();
    assert_eq!(update(&admin, slack("bob", "U024BE7LH")).await.slack_id, "U024BE7LH");
    assert_eq!(last_entry(&daemon).await["details"]["slack_id"], "U024BE7LH");
    // Said again of the same user, it stays.
    update(&admin, slack("bob", "U024BE7LH")).await;
    check_said(
        admin.users().update_user(slack("cat", "U024BE7LH")).await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
        "`U024BE7LH` is `bob` in Slack already",
        "Take it from them first: `vouchsafe users update bob --no-slack-id`.",
    );
    let refused = last_entry(&daemon).await;
    assert_eq!(
        (&refused["outcome"], &refused["details"]["code"]),
        (&json!("refused"), &json!("ALREADY_EXISTS"))
    );
    assert_eq!(show(&admin, "cat").await.slack_id, "");
    assert_eq!(update(&admin, slack("bob", "")).await.slack_id, "");
    assert_eq!(update(&admin, slack("cat", "U024BE7LH")).await.slack_id, "U024BE7LH");
    check_code(
        admin.users().update_user(slack("bob", "#general")).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
}

#[tokio::test]
async fn preferences_are_kept_told_and_taken_away_one_by_one() {
    let mut daemon = TestDaemon::builder().settings(OPS).start().await;
    let wishes = UpdateUserRequest {
        notify_events: vec!["approval.*".to_owned(), "alert".to_owned()],
        quiet_hours: "22:00-07:00 Europe/Berlin".to_owned(),
        digest: "0 9 * * Mon-Fri Europe/Berlin".to_owned(),
        ..channels("bob", &["webhook:ops"])
    };
    let events = [
        "approval.requested",
        "approval.reminder",
        "approval.escalated",
        "approval.decided",
        "approval.expired",
        "alert",
    ];
    let kept = NotifyPreferences {
        channels: vec!["webhook:ops".to_owned()],
        limit_channels: true,
        events: events.map(str::to_owned).to_vec(),
        quiet_hours: wishes.quiet_hours.clone(),
        digest: wishes.digest.clone(),
    };
    assert_eq!(update(&daemon.admin(), wishes).await.notify.as_ref(), Some(&kept));
    let detail = last_entry(&daemon).await["details"].clone();
    assert_eq!(detail["notify_channels"], json!(["webhook:ops"]));
    assert_eq!(detail["notify_events"], json!(events));
    assert_eq!(detail["quiet_hours"], "22:00-07:00 Europe/Berlin");
    assert_eq!(detail["digest"], "0 9 * * Mon-Fri Europe/Berlin");

    daemon.restart().await;
    let admin = daemon.admin();
    assert_eq!(show(&admin, "bob").await.notify.as_ref(), Some(&kept));
    // Another change leaves them as they are.
    update(&admin, slack("bob", "U024BE7LH")).await;
    let silent = update(&admin, channels("bob", &[])).await.notify.unwrap();
    assert_eq!((silent.limit_channels, silent.channels.len()), (true, 0));
    assert_eq!(silent.events, kept.events);
    let free = UpdateUserRequest {
        any_channel: true,
        notify_events: vec!["*".to_owned()],
        quiet_hours: "none".to_owned(),
        digest: "none".to_owned(),
        ..channels("bob", &[])
    };
    let free = update(&admin, free).await;
    assert_eq!(free.notify, Some(NotifyPreferences::default()));
    assert_eq!(free.slack_id, "U024BE7LH");
}

#[tokio::test]
async fn nobody_is_told_over_a_channel_that_is_not_there() {
    let daemon = prompt_daemon().await;
    check_said(
        daemon.admin().users().update_user(channels("bob", &["email"])).await,
        Code::NotFound,
        "CHANNEL_NOT_FOUND",
        "there is no channel email",
        "There is none: set one up under [notify] in vouchsafe.toml.",
    );
    let daemon = TestDaemon::builder().settings(OPS).start().await;
    check_said(
        daemon.admin().users().update_user(channels("bob", &["webhook:ops", "slack:ops"])).await,
        Code::NotFound,
        "CHANNEL_NOT_FOUND",
        "there is no channel slack:ops",
        "There are webhook:ops; channels are set up in vouchsafe.toml.",
    );
    // Nothing of a change that is refused is made.
    let both = UpdateUserRequest {
        email: "bob@example.com".to_owned(),
        set_email: true,
        ..channels("bob", &["slack:ops"])
    };
    check_code(daemon.admin().users().update_user(both).await, Code::NotFound, "CHANNEL_NOT_FOUND");
    assert_eq!(show(&daemon.admin(), "bob").await.email, "");
}

#[tokio::test]
async fn only_an_admin_says_where_messages_reach_somebody() {
    let daemon = prompt_daemon().await;
    for request in [email("bob", "bob@example.com"), slack("bob", "U024BE7LH"), to("bob")] {
        check_code(
            daemon.grpc("bob").users().update_user(request).await,
            Code::PermissionDenied,
            "ROLE_NEEDED",
        );
    }
    assert_eq!(show(&daemon.admin(), "bob").await.email, "");
}

#[tokio::test]
async fn another_address_ends_what_came_by_the_one_before() {
    let daemon = prompt_daemon().await;
    let (admin, bob) = (daemon.admin(), daemon.grpc("bob"));
    let broker = daemon.running().broker();
    let code = async || {
        let request = CreateSignInCodeRequest {};
        let url = bob.users().create_sign_in_code(request).await.unwrap().into_inner().url;
        url.split_once("code=").unwrap().1.to_owned()
    };
    let sign_in = async |code: &str| broker.sign_in_by_dashboard(code, None).await;
    let by_code = sign_in(&code().await).await.unwrap();
    let by_token = broker.sign_in_by_token(daemon.token("bob"), None).await.unwrap();
    let unused = code().await;
    // What changes nothing of where messages go ends nothing.
    update(&admin, slack("bob", "U024BE7LH")).await;
    update(&admin, email("bob", "")).await;
    broker.session_user(&by_code.cookie).await.unwrap();

    update(&admin, email("bob", "bob@example.com")).await;
    let over = broker.session_user(&by_code.cookie).await.unwrap_err();
    assert_eq!(over.code.as_str(), "UNAUTHENTICATED");
    broker.session_user(&by_token.cookie).await.unwrap();
    assert_eq!(sign_in(&unused).await.unwrap_err().code.as_str(), "UNAUTHENTICATED");
    sign_in(&code().await).await.unwrap();
}
