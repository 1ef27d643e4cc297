//! Signing in to the pages by a code that is sent, and where requests come from that do.

use reqwest::Method;
use reqwest::header::{HeaderValue, ORIGIN};
use serde_json::json;
use vouchsafe_proto::v1::{DisableUserRequest, Role, UpdateUserRequest};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::mcp::uri;
use vouchsafe_tests::pages::{Browser, Fields, Shown, fields, shown};
use vouchsafe_tests::smtp::{SmtpServer, Tls};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// With bob's address, and with cat and dan, who share one.
async fn mailing() -> (TestDaemon, SmtpServer) {
    let server = SmtpServer::start(Tls::None).await;
    let mut daemon = TestDaemon::builder().settings(&server.settings("")).start().await;
    daemon.add_user("eve@example.com", &[Role::Approver], &[]).await;
    for (name, address) in
        [("bob", "Bob@example.com"), ("cat", "team@example.com"), ("dan", "team@example.com")]
    {
        let request = UpdateUserRequest {
            name: name.to_owned(),
            email: address.to_owned(),
            set_email: true,
            ..UpdateUserRequest::default()
        };
        daemon.admin().users().update_user(request).await.unwrap();
    }
    (daemon, server)
}

/// Asks for a code; what the page says, without the name.
async fn ask(browser: &mut Browser, name: &str) -> String {
    let page = browser.post("/signin/code", &fields(&[("name", name)])).await;
    assert_eq!(page.status, 200);
    page.html.replace(name, "NAME")
}

/// The code of the mail that arrived as the `mails`th, and to whom it went.
async fn code_of(server: &SmtpServer, mails: usize) -> (String, String) {
    let taken = server.arrived(mails).await;
    let mail = &taken[mails - 1];
    let text = String::from_utf8_lossy(&mail.raw).into_owned();
    let code = text.split_whitespace().find(|word| {
        word.len() == 9
            && word.as_bytes()[4] == b'-'
            && word.bytes().all(|b| b == b'-' || b.is_ascii_uppercase() || b.is_ascii_digit())
    });
    (code.unwrap().to_owned(), mail.to.clone())
}

/// Waits until so many codes were refused for there being nobody to send them to.
async fn nobody_is_found(daemon: &TestDaemon, times: usize) {
    let refused =
        format!("vouchsafe_door_refusals_total{{door=\"web\",code=\"USER_NOT_FOUND\"}} {times}\n");
    eventually("a code to be refused", async || {
        let metrics = reqwest::get(daemon.url("/metrics")).await.unwrap().text().await.unwrap();
        metrics.contains(&refused).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_address_signs_in_whoever_it_is_of() {
    let (daemon, server) = mailing().await;
    let mut browser = Browser::new(&daemon);
    let by_address = ask(&mut browser, "bob@EXAMPLE.com").await;
    let (code, to) = code_of(&server, 1).await;
    assert_eq!(to, "Bob@example.com");
    assert_eq!(by_address, ask(&mut browser, "nobody@example.com").await);
    nobody_is_found(&daemon, 1).await;
    // The code is bob's, by whichever of his names.
    let form = fields(&[("name", "bob@example.COM"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.location(), "/inbox");
    assert!(browser.get("/inbox").await.html.contains(">bob</span>"));
    let issued = daemon.admin().log_of("user.code_issued").await;
    assert_eq!(issued[0]["details"]["user"], "bob", "the log names the user, not what was typed");

    let mut browser = Browser::new(&daemon);
    ask(&mut browser, "bob").await;
    let (code, _) = code_of(&server, 2).await;
    let form = fields(&[("name", "bob@example.com"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.location(), "/inbox");
    // A name that is an address is found however it is typed, too.
    let mut browser = Browser::new(&daemon);
    ask(&mut browser, "Eve@Example.com").await;
    assert_eq!(code_of(&server, 3).await.1, "eve@example.com");
}

#[tokio::test]
async fn an_address_that_is_several_peoples_or_of_nobody_let_in_is_nobodys() {
    let (daemon, server) = mailing().await;
    let mut browser = Browser::new(&daemon);
    ask(&mut browser, "team@example.com").await;
    nobody_is_found(&daemon, 1).await;
    let request = DisableUserRequest { name: "cat".to_owned(), reason: "gone".to_owned() };
    daemon.admin().users().disable_user(request).await.unwrap();
    // Now it is dan's alone.
    ask(&mut browser, "team@example.com").await;
    let (code, _) = code_of(&server, 1).await;
    let form = fields(&[("name", "cat"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.status, 403);
    let form = fields(&[("name", "team@example.com"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.location(), "/inbox");
    assert!(browser.get("/inbox").await.html.contains(">dan</span>"));
    let request = DisableUserRequest { name: "bob".to_owned(), reason: "gone".to_owned() };
    daemon.admin().users().disable_user(request).await.unwrap();
    ask(&mut browser, "bob@example.com").await;
    nobody_is_found(&daemon, 2).await;
    assert_eq!(server.taken().len(), 1);
}

/// A form sent by way of a proxy that says it speaks for this address.
async fn forwarded(browser: &Browser, path: &str, form: &Fields, whom: &str) -> Shown {
    let request = browser.form(path, form).header(ORIGIN, browser.base());
    shown(request.header(FORWARDED_FOR, whom)).await
}

#[tokio::test]
async fn who_guesses_behind_a_trusted_proxy_holds_up_nobody_else() {
    let settings = "[http]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";
    let daemon = TestDaemon::builder().settings(settings).start().await;
    let browser = Browser::new(&daemon);
    let guess = fields(&[("name", "bob"), ("code", "22222222")]);
    let mine = "203.0.113.9, 198.51.100.1, 10.1.2.3";
    for _ in 0..20 {
        assert_eq!(forwarded(&browser, "/signin", &guess, mine).await.status, 403);
    }
    assert_eq!(forwarded(&browser, "/signin", &guess, mine).await.status, 429);
    // What the guesser puts before their own address is theirs to make up.
    let made_up = "192.0.2.77, 198.51.100.1";
    assert_eq!(forwarded(&browser, "/signin", &guess, made_up).await.status, 429);
    assert_eq!(forwarded(&browser, "/signin", &guess, "198.51.100.2").await.status, 403);
    // What is no list of addresses is the proxy's own word, and counts as the proxy's.
    assert_eq!(forwarded(&browser, "/signin", &guess, "198.51.100.1, x").await.status, 403);
}

#[tokio::test]
async fn nobody_else_says_where_they_come_from() {
    let settings = "[http]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    for settings in ["", settings] {
        let daemon = TestDaemon::builder().settings(settings).start().await;
        let browser = Browser::new(&daemon);
        let guess = fields(&[("name", "bob"), ("code", "22222222")]);
        for host in 0..20 {
            let whom = format!("198.51.100.{host}");
            assert_eq!(forwarded(&browser, "/signin", &guess, &whom).await.status, 403);
        }
        let held = forwarded(&browser, "/signin", &guess, "198.51.100.77").await;
        assert_eq!(held.status, 429, "{settings}");
    }
}

/// Has an agent ask by way of a proxy; what the approval says of where it came from.
async fn asked_from(settings: &str) -> String {
    let wait = std::time::Duration::ZERO;
    let daemon = TestDaemon::builder().settings(settings).block_for(wait).start().await;
    let key = daemon.agent("claude").key().to_owned();
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "read_secret", "arguments": { "uri": uri("production/DB") } },
    });
    let request = reqwest::Client::new()
        .post(daemon.mcp_url())
        .bearer_auth(key)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", vouchsafe_tests::mcp::LEGACY)
        .header(FORWARDED_FOR, HeaderValue::from_static("198.51.100.7"))
        .json(&call);
    assert!(request.send().await.unwrap().status().is_success());
    let pending = daemon.grpc("bob").pending(1).await;
    let bob = Browser::signed_in(&daemon, "bob").await;
    let page = bob.get(&format!("/approvals/{}", pending[0].id)).await;
    page.between("over HTTP from ", "<").to_owned()
}

#[tokio::test]
async fn an_agent_comes_from_where_the_trusted_proxy_says() {
    let trusted = "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    assert!(asked_from(trusted).await.starts_with("198.51.100.7"));
    assert!(asked_from("").await.starts_with("127.0.0.1"));
}

#[tokio::test]
async fn a_browser_that_cannot_stay_signed_in_says_why() {
    let daemon = TestDaemon::start().await;
    let browser = Browser::new(&daemon);
    // So it is without TLS, on another machine: no referrer, and nothing that says it instead.
    let form = browser.form("/signin", &fields(&[("token", daemon.token("bob"))]));
    let told = shown(form.header(ORIGIN, "null")).await;
    assert_eq!(told.status, 403);
    assert!(told.html.contains("Open the page at an https:// address"), "{}", told.html);
    let got = shown(browser.request(Method::GET, "/signin")).await;
    assert_eq!(got.status, 200);
}
