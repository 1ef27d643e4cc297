//! Pages that stay open: how they are told of what changes, and that they are told no more.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use vouchsafe_proto::v1::UpdateUserRequest;
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::pages::{Browser, Shown, shown};
use vouchsafe_tests::smtp::{SmtpServer, Tls};
use vouchsafed::clock::Clock as _;

use crate::{minutes, prompt_daemon};

/// Begins to listen for changes.
async fn listen(browser: &Browser) -> Response {
    browser.request(Method::GET, "/events").send().await.unwrap()
}

/// What the page asks for by itself.
async fn ask_again(browser: &Browser, method: Method, path: &str) -> Shown {
    shown(browser.request(method, path).header("hx-request", "true")).await
}

#[tokio::test]
async fn a_page_whose_session_is_over_is_led_to_sign_in_and_back() {
    let daemon = prompt_daemon().await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let approval = format!("/approvals/{id}");
    let bob = Browser::signed_in(&daemon, "bob").await;
    let stream = listen(&bob).await;
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream; charset=utf-8");
    daemon.advance(minutes(61)).await;
    // No page comes instead of the stream: a browser would ask for it for ever.
    for browser in [&bob, &Browser::new(&daemon)] {
        let stream = listen(browser).await;
        assert_eq!(stream.status(), StatusCode::UNAUTHORIZED);
        assert!(stream.headers().get("location").is_none());
        assert!(stream.text().await.unwrap().is_empty());
    }
    let next = format!("/signin?next=%2Fapprovals%2F{id}");
    for (path, way) in [("/inbox", "/signin"), (&approval, &next)] {
        for method in [Method::HEAD, Method::GET] {
            let told = ask_again(&bob, method, &format!("{path}?live")).await;
            assert_eq!(told.status, 401);
            assert_eq!(told.headers["hx-redirect"].to_str().unwrap(), way);
        }
    }
}

#[tokio::test]
async fn one_page_too_many_is_told_so_and_works_all_the_same() {
    let daemon = TestDaemon::start().await;
    let bob = Browser::signed_in(&daemon, "bob").await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(listen(&bob).await);
    }
    assert!(open.iter().all(|stream| stream.status() == StatusCode::OK));
    assert_eq!(listen(&bob).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask_again(&bob, Method::HEAD, "/inbox?live").await.status, 200);
    open.pop();
    eventually("a page's place to be free", async || {
        (listen(&bob).await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_announced_is_on_the_page_before_it_changes() {
    let daemon = prompt_daemon().await;
    let bob = Browser::signed_in(&daemon, "bob").await;
    let empty = bob.get("/inbox").await;
    assert!(empty.html.contains("<span id=\"tally\">Nothing waits.</span>"), "{}", empty.html);
    // What is exchanged whole announces nothing, and what is announced stays.
    assert!(!empty.between("id=\"waiting\"", ">").contains("aria-live"));
    assert!(empty.html.contains("role=\"status\"><span id=\"tally\">"));
    assert!(empty.html.contains("hx-select-oob=\"#tally\""));
    for page in ["/inbox".to_owned(), daemon.agent("claude").read("production/DB").await.approval()]
    {
        let page = if page == "/inbox" { page } else { format!("/approvals/{page}") };
        let shown = bob.get(&page).await;
        let mark =
            shown.between("<p id=\"live\" class=\"stale\" role=\"status\" data-now=\"", "\"");
        assert_eq!(mark.parse::<i64>().unwrap(), daemon.clock.now().wall.ms(), "{page}");
        assert!(shown.html.contains("/live.js\"></script>"), "{page}");
    }
    let one = bob.get("/inbox").await;
    assert_eq!(one.between("id=\"tally\">", "<"), "1 approval waits for you to answer.");
    daemon.agent("claude").read("production/API").await.approval();
    let two = bob.get("/inbox").await;
    assert_eq!(two.between("id=\"tally\">", "<"), "2 approvals wait for you to answer.");
}

#[tokio::test]
async fn an_approval_says_what_its_messages_wait_for() {
    let server = SmtpServer::start(Tls::None).await;
    let settings = server.settings("");
    let builder = TestDaemon::builder().settings(&settings).block_for(Duration::ZERO);
    let daemon = builder.start().await;
    // The test's clock stands at ten.
    for (name, quiet_hours) in [("bob", "09:00-12:00 UTC"), ("cat", "")] {
        let request = UpdateUserRequest {
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            set_email: true,
            quiet_hours: quiet_hours.to_owned(),
            ..UpdateUserRequest::default()
        };
        daemon.admin().users().update_user(request).await.unwrap();
    }
    server.down().await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let bob = Browser::signed_in(&daemon, "bob").await;
    let page = eventually("a try that failed", async || {
        let page = bob.get(&format!("/approvals/{id}")).await;
        page.html.contains("1 try, again, <time").then_some(page)
    })
    .await;
    let quiet = page.between("waits for quiet hours to end, <time", "</time>");
    assert!(quiet.ends_with(">in 2 h"), "{quiet}");
}
