//! What a key opens.

use reqwest::StatusCode;
use serde_json::json;
use tonic::Code;
use vouchsafe_proto::v1::{
    DisableKeyRequest, RegenerateKeyRequest, ShowKeyRequest, UpdateKeyRequest, WhoAmIRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::mcp::{Agent, Exchange};

use crate::{check_refused, check_said, minutes, prompt_daemon};

pub(crate) async fn knock(agent: &Agent) -> Exchange {
    agent.exchange("tools/list", json!({})).await
}

#[track_caller]
pub(crate) fn check_turned_away(
    exchange: &Exchange,
    status: u16,
    code: &str,
    message: &str,
    next: &str,
) {
    assert_eq!(exchange.status, StatusCode::from_u16(status).unwrap(), "{}", exchange.body);
    let body: serde_json::Value = serde_json::from_str(&exchange.body).unwrap();
    assert_eq!(body, json!({ "error": { "code": code, "message": message, "next": next } }));
    let challenge = exchange.headers.get("www-authenticate");
    assert_eq!(challenge.is_some(), status == 401, "{challenge:?}");
}

#[tokio::test]
async fn a_key_without_reveal_sees_no_value_and_nobody_is_asked() {
    let daemon = TestDaemon::start().await;
    let blind = daemon.agent("blind");
    for path in ["production/DB", "staging/DB"] {
        let answer = blind.read(path).await;
        assert!(!answer.is_error);
        assert_eq!(
            (answer.status(), &answer.content["value"]),
            ("redacted", &json!("***REDACTED"))
        );
    }
    assert!(daemon.admin().list(&[]).await.is_empty());
    let asked = blind
        .call("request_access", json!({ "resources": ["vouchsafe://secrets/production/DB"] }))
        .await;
    assert_eq!(asked.code(), "SCOPE_NEEDED", "{asked:?}");
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_and_sees_no_such_tool() {
    let mut daemon = prompt_daemon().await;
    daemon.add_key("auditor", "ann", &["audit:read"]).await;
    let agent = daemon.agent("auditor");
    let answer = agent.read("production/DB").await;
    check_refused(
        &answer,
        "SCOPE_NEEDED",
        "this needs the scope secrets:read; the key `auditor` has audit:read",
        "An operator can add it with `vouchsafe keys update auditor --scopes ..`.",
    );
    let tools = agent.request("tools/list", json!({})).await["result"]["tools"].clone();
    let names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert!(names.contains(&json!("whoami")), "{names:?}");
    assert!(!names.contains(&json!("read_secret")), "{names:?}");
}

#[tokio::test]
async fn who_is_not_known_is_turned_away_and_told_why() {
    let daemon = prompt_daemon().await;
    let make = "Make a key with `vouchsafe keys create NAME` and send it as a bearer token.";
    let known = daemon.agent("claude");
    let mistyped = known.key().replace("vs_mcp_", "vs_mcp_x");
    let other = daemon.token("ann");
    let unknown = "vs_mcp_".to_owned()
        + &vouchsafe_core::token::Token::from_random(
            vouchsafe_core::token::TokenKind::Mcp,
            [7; 8],
            [7; 32],
        )
        .expose()["vs_mcp_".len()..];
    for (key, code, message) in [
        ("nonsense", "UNAUTHENTICATED", "this is not a Vouchsafe credential"),
        (mistyped.as_str(), "UNAUTHENTICATED", "the credential is incomplete or mistyped"),
        (unknown.as_str(), "UNAUTHENTICATED", "the key is unknown, or was deleted or regenerated"),
        (
            other,
            "WRONG_CREDENTIAL",
            "this door takes an MCP key (vs_mcp_..), and a user token (vs_user_..) was sent",
        ),
    ] {
        let exchange = knock(&daemon.agent_with(key)).await;
        check_turned_away(&exchange, 401, code, message, make);
        assert!(!exchange.body.contains(key));
    }
}

#[tokio::test]
async fn a_key_is_dead_once_it_is_disabled_or_regenerated() {
    let mut daemon = prompt_daemon().await;
    let admin = daemon.admin();
    let (project, name) = (String::new(), "claude".to_owned());
    let old = daemon.agent("claude");
    let request = RegenerateKeyRequest { project: project.clone(), name: name.clone() };
    let made = admin.keys().regenerate_key(request).await.unwrap().into_inner();
    assert_eq!(made.key.unwrap().scopes, ["secrets:read", "secrets:reveal"]);
    assert_eq!(knock(&old).await.status, StatusCode::UNAUTHORIZED);
    daemon.set_key("claude", made.value);
    assert_eq!(knock(&daemon.agent("claude")).await.status, StatusCode::OK);
    let request = DisableKeyRequest { project, name, reason: "lost laptop".to_owned() };
    admin.keys().disable_key(request).await.unwrap();
    check_turned_away(
        &knock(&daemon.agent("claude")).await,
        401,
        "KEY_DISABLED",
        "the key `claude` is disabled",
        "An operator enables it with `vouchsafe keys enable claude`.",
    );
}

#[tokio::test]
async fn a_key_opens_its_own_project_alone() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let own = claude.at(&daemon.url("/mcp/default"));
    assert_eq!(knock(&own).await.status, StatusCode::OK);
    check_turned_away(
        &knock(&claude.at(&daemon.url("/mcp/other"))).await,
        403,
        "WRONG_PROJECT",
        "the key belongs to another project than the one in the address",
        "Use the address /mcp, or a key of that project.",
    );
}

#[tokio::test]
async fn when_a_key_was_last_used_is_known() {
    let daemon = prompt_daemon().await;
    let request = ShowKeyRequest { project: String::new(), name: "claude".to_owned() };
    let mut keys = daemon.admin().keys();
    assert_eq!(keys.show_key(request.clone()).await.unwrap().into_inner().last_used_at, None);
    daemon.advance(minutes(5)).await;
    knock(&daemon.agent("claude")).await;
    daemon.sweep().await;
    let key = keys.show_key(request).await.unwrap().into_inner();
    assert_eq!(key.last_used_at.unwrap().seconds - key.created_at.unwrap().seconds, 300);
}

#[tokio::test]
async fn an_agent_is_told_who_it_is() {
    let daemon = prompt_daemon().await;
    let told = daemon.agent("blind").call("whoami", json!({})).await.content;
    assert_eq!(
        (&told["key"], &told["project"], &told["owner"], &told["scopes"]),
        (&json!("blind"), &json!("default"), &json!("ann"), &json!(["secrets:read"]))
    );
}

#[tokio::test]
async fn changed_scopes_hold_at_once() {
    let daemon = prompt_daemon().await;
    let request = UpdateKeyRequest {
        name: "blind".to_owned(),
        scopes: vec!["secrets:read".to_owned(), "secrets:reveal".to_owned()],
        ..UpdateKeyRequest::default()
    };
    let blind = daemon.agent("blind");
    assert_eq!(blind.read("staging/DB").await.status(), "redacted");
    daemon.admin().keys().update_key(request.clone()).await.unwrap();
    assert_eq!(blind.read("staging/DB").await.status(), "ok");
    let unknown = UpdateKeyRequest { scopes: vec!["secrets:all".to_owned()], ..request };
    check_said(
        daemon.admin().keys().update_key(unknown).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "there is no scope `secrets:all`",
        "The scopes are secrets:read, secrets:reveal, secrets:write, secrets:delete, tools:read, \
         tools:write, tools:destructive, audit:read, mcp:read and mcp:full.",
    );
}

#[tokio::test]
async fn a_person_is_let_in_by_their_own_token_alone() {
    let daemon = prompt_daemon().await;
    let next = "An admin makes a token with `vouchsafe users token NAME`.";
    let key = daemon.agent("claude").key().to_owned();
    for (token, code, message) in [
        (None, "UNAUTHENTICATED", "no credential was sent"),
        (Some("nonsense"), "UNAUTHENTICATED", "this is not a Vouchsafe credential"),
        (
            Some(key.as_str()),
            "WRONG_CREDENTIAL",
            "this door takes a user token (vs_user_..), and an MCP key (vs_mcp_..) was sent",
        ),
    ] {
        let answer = daemon.grpc_with(token).status().who_am_i(WhoAmIRequest {}).await;
        check_said(answer, Code::Unauthenticated, code, message, next);
    }
}
