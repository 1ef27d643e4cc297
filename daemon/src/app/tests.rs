use std::fs;
use std::path::Path;

use tonic::Code;
use tonic_types::StatusExt as _;
use vouchsafe_proto::v1;

use super::*;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::home::Home;

fn config(home: &Home) -> Config {
    let mut config = Config::load(&home.config_file(), &Environment::default()).unwrap();
    config.http.listen.set_port(0);
    config
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_home_is_made_served_drained_and_served_again() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let config = config(&home);
    let made = init(&config, home.clone(), "jane", clock()).await.unwrap().to_string();
    let token = read(&home.credentials_file());
    assert!(token.starts_with("user = \"jane\"\ntoken = \"vs_user_"), "{token}");
    assert!(made.contains("credentials.toml") && !made.contains("vs_user_"), "{made}");
    assert!(matches!(check_config(&config, &home).unwrap(), Checked::Good(rules) if rules > 0));

    for _ in 0..2 {
        let app = App::build(&config, home.clone(), clock()).await.unwrap();
        let running = app.spawn().await.unwrap();
        let run = read(&home.dir().join("run.json"));
        assert!(run.contains(&running.http_addr.to_string()), "{run}");
        assert!(running.reload().await.unwrap().problems.is_empty());
        assert!(home.grpc_socket().exists() && home.mcp_socket().exists());
        let busy = App::build(&config, home.clone(), clock()).await.unwrap_err();
        assert!(busy.to_string().contains("serves"), "{busy}");
        assert_eq!(check_config(&config, &home).unwrap(), Checked::Serving);
        running.drain();
        running.wait().await.unwrap();
        assert!(!home.dir().join("run.json").exists() && !home.grpc_socket().exists());
    }
    assert!(verify(&config, &home).unwrap().size > 4);
}

async fn channel(home: &Home) -> tonic::transport::Channel {
    let url = format!("unix://{}", home.grpc_socket().display());
    tonic::transport::Endpoint::new(url).unwrap().connect().await.unwrap()
}

/// A request with what `credentials.toml` of the home holds.
fn signed<T>(home: &Home, message: T) -> tonic::Request<T> {
    let text = read(&home.credentials_file());
    let token = text.split('"').nth(3).unwrap();
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn the_users_door_lets_in_by_token_and_role_and_ends_its_streams_with_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create_dev(&dir.path().join("home")).unwrap();
    let config = config(&home);
    prepare_dev(&config, home.clone(), clock()).await.unwrap();
    let app = App::build(&config, home.clone(), clock()).await.unwrap();
    let running = app.spawn().await.unwrap();
    let channel = channel(&home).await;

    let mut status = v1::status_client::StatusClient::new(channel.clone());
    let unsigned = status.who_am_i(v1::WhoAmIRequest {}).await.unwrap_err();
    assert_eq!(unsigned.code(), Code::Unauthenticated);
    let info = unsigned.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("UNAUTHENTICATED", "vouchsafe"));
    let me = status.who_am_i(signed(&home, v1::WhoAmIRequest {})).await.unwrap().into_inner();
    assert_eq!(me.user.unwrap().name, "admin");

    let mut users = v1::users_client::UsersClient::new(channel.clone());
    let auditor = v1::CreateUserRequest {
        name: "ann".to_owned(),
        roles: vec![v1::Role::Auditor.into()],
        groups: vec![],
        project: String::new(),
    };
    let ann = users.create_user(signed(&home, auditor)).await.unwrap().into_inner();
    let mut request = tonic::Request::new(v1::RunChecksRequest {});
    let token = format!("Bearer {}", ann.token).parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let refused = status.run_checks(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), "RunChecks needs the role operator, and ann has auditor");

    let mut approvals = v1::approvals_client::ApprovalsClient::new(channel);
    let watch = signed(&home, v1::WatchApprovalsRequest::default());
    let mut watch = approvals.watch_approvals(watch).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().caught_up);
    running.drain();
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    drop((watch, approvals, users, status));
    running.wait().await.unwrap();
}

#[tokio::test]
async fn a_home_is_set_up_once() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let config = config(&home);
    init(&config, home.clone(), "jane", clock()).await.unwrap();
    let again = init(&config, home.clone(), "joe", clock()).await.unwrap_err();
    assert!(matches!(again, StartError::SetUp));
    assert!(read(&home.credentials_file()).contains("jane"));
}

#[tokio::test]
async fn a_dev_home_has_its_demo_secrets_and_listens_on_this_machine_only() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create_dev(&dir.path().join("home")).unwrap();
    let mut config = config(&home);
    let made = prepare_dev(&config, home.clone(), clock()).await.unwrap().unwrap().to_string();
    assert!(made.contains("production/DATABASE_URL") && !made.contains("not-a-real"), "{made}");
    assert!(prepare_dev(&config, home.clone(), clock()).await.unwrap().is_none());

    config.http.listen = "0.0.0.0:0".parse().unwrap();
    let refused = prepare_dev(&config, home, clock()).await.unwrap_err();
    assert!(refused.is_usage(), "{refused}");
}

#[tokio::test]
async fn whoever_only_looks_at_an_older_database_leaves_it_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let config = config(&home);
    init(&config, home.clone(), "jane", clock()).await.unwrap();
    // What the file's header says of the schema is what an earlier version would have left.
    let mut older = fs::read(home.database()).unwrap();
    older[60..64].copy_from_slice(&1_u32.to_be_bytes());
    fs::write(home.database(), &older).unwrap();
    let told = |error: &dyn std::error::Error| {
        let mut told = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            told.extend([": ", &error.to_string()]);
            cause = error.source();
        }
        assert!(told.contains("schema 1") && told.contains("`vouchsafed serve` once"), "{told}");
    };
    told(&check_config(&config, &home).unwrap_err());
    told(&verify(&config, &home).unwrap_err());
    assert_eq!(fs::read(home.database()).unwrap(), older);
}

#[tokio::test]
async fn a_daemon_starts_without_rules_that_have_mistakes_and_refuses_everything() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let config = config(&home);
    init(&config, home.clone(), "jane", clock()).await.unwrap();
    fs::write(config.policy.dir.join("broken.toml"), "[[rule]]\nname = \"x\"\n").unwrap();
    let found = check_config(&config, &home).unwrap_err();
    assert!(found.is_usage());
    assert!(found.to_string().contains("  broken.toml:1: "), "{found}");

    let running = App::build(&config, home.clone(), clock()).await.unwrap().spawn().await.unwrap();
    let mut policy = v1::policy_client::PolicyClient::new(channel(&home).await);
    let shown = policy.show_policy(signed(&home, v1::ShowPolicyRequest::default())).await.unwrap();
    assert!(shown.get_ref().rules.is_empty());
    assert_eq!(shown.get_ref().problems[0].file, "broken.toml");
    drop(policy);
    running.drain();
    running.wait().await.unwrap();
}

#[test]
fn what_to_paste_finds_a_home_that_is_not_the_usual_one() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let named = first_run::next_steps(&home, "http://127.0.0.1:7431/mcp", true);
    let flag = format!("--home {}", home.dir().display());
    assert!(named.contains(&format!("vouchsafe {flag} install claude-desktop")), "{named}");
    assert!(named.contains(&format!("\"{}\"", home.dir().display())), "{named}");
    let usual = first_run::next_steps(&home, "http://127.0.0.1:7431/mcp", false);
    assert!(!usual.contains("--home") && usual.contains("\"claude-desktop\""), "{usual}");
}
