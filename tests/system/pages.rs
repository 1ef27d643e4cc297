//! The web pages: who gets in, how long they stay, and what no page does.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HOST, ORIGIN, SET_COOKIE};
use vouchsafe_proto::v1::{
    CreateSignInCodeRequest, DisableUserRequest, IssueTokenRequest, Role, ShowStatusRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::pages::{Browser, Fields, fields, shown, with};
use vouchsafe_tests::smtp::{SmtpServer, Tls};

use crate::{minutes, prompt_daemon};

/// Every page, with what it could be asked with.
const PAGES: [&str; 12] = [
    "/",
    "/inbox",
    "/inbox?live",
    "/inbox?ballot=approve",
    "/signin",
    "/signin?next=/approvals/ap_1&token=x&code=y&name=ann",
    "/signout",
    "/signin/code?name=ann",
    "/approvals/ID",
    "/approvals/ID?live",
    "/approvals/ID?ballot=approve&digest=DIGEST&csrf=x&reason=y",
    "/link/0123456789abcdef",
];

async fn log_size(daemon: &TestDaemon) -> u64 {
    daemon.sweep().await;
    let admin = daemon.admin();
    let status = admin.status().show_status(ShowStatusRequest {}).await.unwrap();
    status.into_inner().audit_size
}

async fn dashboard(daemon: &TestDaemon, name: &str) -> String {
    let request = CreateSignInCodeRequest {};
    let made = daemon.grpc(name).users().create_sign_in_code(request).await.unwrap().into_inner();
    let (page, code) = made.url.split_once("#code=").unwrap();
    assert_eq!(page, daemon.page("/signin"));
    code.to_owned()
}

#[tokio::test]
async fn a_token_signs_in_and_the_cookie_goes_nowhere_else() {
    let daemon = TestDaemon::start().await;
    let mut browser = Browser::new(&daemon);
    assert_eq!(browser.get("/inbox").await.location(), "/signin");
    let wrong = browser.post("/signin", &fields(&[("token", "vs_user_nonsense")])).await;
    assert_eq!((wrong.status, wrong.cookie()), (403, None));
    let agents = daemon.agent("claude").key().to_owned();
    let wrong = browser.post("/signin", &fields(&[("token", &agents)])).await;
    assert!(wrong.html.contains("an MCP key (vs_mcp_..) was sent") && wrong.status == 403);
    assert!(!wrong.html.contains(&agents));

    let token = daemon.token("bob").to_owned();
    let form = fields(&[("token", &token), ("next", "/approvals/ap_1")]);
    let shown = browser.post("/signin", &form).await;
    assert_eq!((shown.status, shown.location()), (303, "/approvals/ap_1"));
    let line = shown.headers[SET_COOKIE].to_str().unwrap();
    let attributes: Vec<_> = line.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=43200", "Secure", "HttpOnly", "SameSite=Strict"]);
    let inbox = browser.get("/inbox").await;
    assert!(inbox.status == 200 && inbox.html.contains(">bob</span>"), "{}", inbox.html);

    let entries = daemon.admin().log_of("user.signed_in").await;
    assert_eq!(entries[0]["actor"]["name"], "bob");
    assert_eq!(entries[0]["actor"]["proof"], "user-token");
    assert_eq!(entries[0]["actor"]["via"], "web");
    daemon.sweep().await;
    let refused = daemon.admin().log_of("door.refused").await;
    assert_eq!(refused.iter().filter(|entry| entry["actor"]["via"] == "web").count(), 2);
}

#[tokio::test]
async fn nobody_is_led_elsewhere_by_signing_in() {
    let daemon = TestDaemon::start().await;
    let mut browser = Browser::new(&daemon);
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "/signout", "x"] {
        let form = fields(&[("token", daemon.token("bob")), ("next", next)]);
        assert_eq!(browser.post("/signin", &form).await.location(), "/inbox", "{next}");
    }
    browser.cookie = None;
    assert_eq!(browser.get("/approvals/ap_1").await.location(), "/signin?next=%2Fapprovals%2Fap_1");
}

#[tokio::test]
async fn each_way_in_makes_another_session_whatever_is_shown() {
    let daemon = TestDaemon::start().await;
    let first = Browser::signed_in(&daemon, "bob").await;
    let mut second = first.clone();
    let form = fields(&[("token", daemon.token("bob"))]);
    second.post("/signin", &form).await;
    assert_ne!(first.cookie, second.cookie);
    // An id that somebody was given opens nothing, nor does the id of a session alone.
    let id = first.cookie.as_deref().unwrap().split('.').next().unwrap().to_owned();
    let guesses =
        [id.clone(), format!("{id}."), format!("{id}.{}", "A".repeat(43)), "x.y".to_owned()];
    for cookie in guesses {
        let mut guess = first.clone();
        guess.cookie = Some(cookie);
        assert_eq!(guess.get("/inbox").await.location(), "/signin");
    }
    // A browser that has two is not believed either.
    let cookie = first.cookie.clone().unwrap();
    let twice = format!("{cookie}; __Host-vouchsafe={cookie}");
    let mut two = first.clone();
    two.cookie = Some(twice);
    assert_eq!(two.get("/inbox").await.location(), "/signin");
    assert_eq!(first.get("/inbox").await.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_what_it_stands_on() {
    let mut daemon = TestDaemon::start().await;
    daemon.add_user("eve", &[Role::Approver], &[]).await;
    let (bob, cat, dan) = (
        Browser::signed_in(&daemon, "bob").await,
        Browser::signed_in(&daemon, "cat").await,
        Browser::signed_in(&daemon, "dan").await,
    );
    let mut eve = Browser::signed_in(&daemon, "eve").await;
    let kept = eve.clone();

    let request = DisableUserRequest { name: "bob".to_owned(), reason: "gone".to_owned() };
    daemon.admin().users().disable_user(request).await.unwrap();
    let request = IssueTokenRequest { name: "cat".to_owned() };
    daemon.admin().users().issue_token(request).await.unwrap();
    let form = eve.get("/inbox").await;
    let csrf = form.between("name=\"csrf\" value=\"", "\"").to_owned();
    let out = eve.post("/signout", &fields(&[("csrf", &csrf)])).await;
    assert_eq!((out.status, out.cookie().as_deref()), (303, Some("")));
    for (who, browser) in [("disabled", &bob), ("a new token", &cat), ("signed out", &kept)] {
        assert_eq!(browser.get("/inbox").await.location(), "/signin", "{who}");
    }
    assert_eq!(daemon.admin().log_of("user.signed_out").await[0]["actor"]["name"], "eve");

    // Used within each hour it lasts, but not for ever; what a page asks for by itself is no use.
    for _ in 0..13 {
        assert_eq!(dan.get("/inbox").await.status, 200);
        daemon.advance(minutes(50)).await;
    }
    assert_eq!(dan.get("/inbox?live").await.status, 200);
    daemon.advance(minutes(11)).await;
    assert_eq!(dan.get("/inbox?live").await.location(), "/signin");
    let dan = Browser::signed_in(&daemon, "dan").await;
    for _ in 0..15 {
        assert_eq!(dan.get("/inbox").await.status, 200);
        daemon.advance(minutes(50)).await;
    }
    assert_eq!(dan.get("/inbox").await.location(), "/signin", "twelve hours are over");
}

#[tokio::test]
async fn a_restart_keeps_sessions_and_a_user_has_twenty_at_most() {
    let mut daemon = TestDaemon::start().await;
    let mut first = Browser::signed_in(&daemon, "bob").await;
    daemon.restart().await;
    first.moved(&daemon);
    assert_eq!(first.get("/inbox").await.status, 200);
    daemon.clock.advance(Duration::from_secs(1));
    let mut later = Vec::new();
    for _ in 0..20 {
        later.push(Browser::signed_in(&daemon, "bob").await);
    }
    assert_eq!(first.get("/inbox").await.location(), "/signin");
    assert_eq!(later[0].get("/inbox").await.status, 200);
}

#[tokio::test]
async fn the_code_of_a_command_line_signs_in_once_and_soon() {
    let daemon = TestDaemon::start().await;
    let code = dashboard(&daemon, "bob").await;
    let mut browser = Browser::new(&daemon);
    let shown = browser.post("/signin", &fields(&[("code", &code)])).await;
    assert_eq!((shown.status, shown.location()), (303, "/inbox"));
    let entries = daemon.admin().log_of("user.signed_in").await;
    assert_eq!(entries[0]["actor"]["proof"], "one-time-code");
    assert_eq!(daemon.admin().log_of("user.code_issued").await[0]["actor"]["name"], "bob");

    let again = browser.post("/signin", &fields(&[("code", &code)])).await;
    assert!(again.status == 403 && again.html.contains("was used"), "{}", again.html);
    let late = dashboard(&daemon, "bob").await;
    daemon.advance(minutes(2)).await;
    assert_eq!(browser.post("/signin", &fields(&[("code", &late)])).await.status, 403);
    let shut = dashboard(&daemon, "bob").await;
    let request = IssueTokenRequest { name: "bob".to_owned() };
    daemon.admin().users().issue_token(request).await.unwrap();
    assert_eq!(browser.post("/signin", &fields(&[("code", &shut)])).await.status, 403);
}

async fn mailing() -> (TestDaemon, SmtpServer) {
    let server = SmtpServer::start(Tls::None).await;
    let mut daemon = TestDaemon::builder().settings(&server.settings("")).start().await;
    daemon.add_user("eve@example.com", &[Role::Approver], &["oncall"]).await;
    (daemon, server)
}

async fn ask_for_code(browser: &mut Browser, name: &str) -> String {
    let page = browser.post("/signin/code", &fields(&[("name", name)])).await;
    assert_eq!(page.status, 200);
    page.html.replace(name, "NAME")
}

/// Waits until a code was refused because of too many. Codes are made after the answer.
async fn none_is_sent(daemon: &TestDaemon) {
    let refused = "vouchsafe_door_refusals_total{door=\"web\",code=\"RATE_LIMITED\"} 1";
    eventually("a code to be refused", async || {
        let metrics = reqwest::get(daemon.url("/metrics")).await.unwrap().text().await.unwrap();
        metrics.contains(refused).then_some(())
    })
    .await;
}

/// The code of a mail.
async fn code_of(server: &SmtpServer, mails: usize) -> String {
    let taken = server.arrived(mails).await;
    let text = String::from_utf8_lossy(&taken[mails - 1].raw).into_owned();
    let found = text.split_whitespace().find(|word| {
        word.len() == 9
            && word.as_bytes()[4] == b'-'
            && word.bytes().all(|b| b == b'-' || b.is_ascii_uppercase() || b.is_ascii_digit())
    });
    assert!(found.is_some(), "no code in {text}");
    found.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_code_that_was_sent_signs_in_once() {
    let (daemon, server) = mailing().await;
    let mut browser = Browser::new(&daemon);
    let known = ask_for_code(&mut browser, "eve@example.com").await;
    let unknown = ask_for_code(&mut browser, "nobody@example.com").await;
    assert_eq!(known, unknown, "it is not told who is somebody here");
    let code = code_of(&server, 1).await;
    assert_eq!(server.taken()[0].to, "eve@example.com");
    let typed = code.to_lowercase().replace('-', " ");
    let form = fields(&[("name", "eve@example.com"), ("code", &typed)]);
    assert_eq!(browser.post("/signin", &form).await.location(), "/inbox");
    let again = browser.post("/signin", &form).await;
    assert_eq!(again.status, 403);
    assert_eq!(daemon.admin().log_of("user.signed_in").await[0]["actor"]["proof"], "one-time-code");

    // A code takes five tries, and the fifth wrong one was the last.
    ask_for_code(&mut browser, "eve@example.com").await;
    let code = code_of(&server, 2).await;
    for _ in 0..5 {
        let wrong = fields(&[("name", "eve@example.com"), ("code", "22222222")]);
        assert_eq!(browser.post("/signin", &wrong).await.status, 403);
    }
    let form = fields(&[("name", "eve@example.com"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.status, 403);

    // Another one is for somebody else; and after ten minutes it is for nobody.
    ask_for_code(&mut browser, "eve@example.com").await;
    let code = code_of(&server, 3).await;
    let other = fields(&[("name", "bob"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &other).await.status, 403);
    daemon.advance(minutes(10)).await;
    let form = fields(&[("name", "eve@example.com"), ("code", &code)]);
    assert_eq!(browser.post("/signin", &form).await.status, 403);

    // Three an hour.
    ask_for_code(&mut browser, "eve@example.com").await;
    none_is_sent(&daemon).await;
    assert_eq!(server.taken().len(), 3);
    daemon.advance(minutes(61)).await;
    ask_for_code(&mut browser, "eve@example.com").await;
    let code = code_of(&server, 4).await;
    assert_eq!(server.taken().len(), 4);
    let mut log = String::from_utf8(daemon.admin().export().await.lines).unwrap();
    log.push_str(&known);
    assert!(!log.contains(&code) && !log.contains(&code.replace('-', "")));
}

#[tokio::test]
async fn who_guesses_is_held_up() {
    let daemon = TestDaemon::start().await;
    let mut browser = Browser::new(&daemon);
    let guess = fields(&[("name", "bob"), ("code", "22222222")]);
    for _ in 0..20 {
        assert_eq!(browser.post("/signin", &guess).await.status, 403);
    }
    let held = browser.post("/signin", &guess).await;
    assert_eq!((held.status, held.cookie()), (429, None));
    // What nobody guesses opens all the same: others may come from the same address.
    let token = fields(&[("token", daemon.token("bob"))]);
    assert_eq!(browser.clone().post("/signin", &token).await.status, 303);
    let code = fields(&[("code", &dashboard(&daemon, "bob").await)]);
    assert_eq!(browser.clone().post("/signin", &code).await.status, 303);
    daemon.advance(minutes(1)).await;
    assert_eq!(browser.post("/signin", &guess).await.status, 403);
}

#[tokio::test]
async fn guesses_fill_no_log() {
    let (daemon, _server) = mailing().await;
    let mut browser = Browser::new(&daemon);
    let before = log_size(&daemon).await;
    for _ in 0..100 {
        let guess = fields(&[("code", "no such code")]);
        assert_eq!(browser.post("/signin", &guess).await.status, 403);
    }
    // Twenty a second of the daemon's clock, which stands, get an entry each; the others are counted.
    daemon.sweep().await;
    let grown = log_size(&daemon).await - before;
    assert!(grown <= 25, "{grown} entries of 100 guesses");
    daemon.advance(minutes(1)).await;
    let before = log_size(&daemon).await;
    ask_for_code(&mut browser, "nobody@example.com").await;
    let refused = eventually("the refusal", || async {
        daemon.sweep().await;
        let log = daemon.admin().log_of("door.refused").await;
        log.into_iter().find(|entry| entry["details"]["code"] == "USER_NOT_FOUND")
    })
    .await;
    assert!(!refused.to_string().contains("nobody@example.com"), "{refused}");
    assert!(log_size(&daemon).await <= before + 3);
}

#[tokio::test]
async fn nobody_takes_the_place_of_somebody_else() {
    let daemon = TestDaemon::start().await;
    let mut bob = Browser::signed_in(&daemon, "bob").await;
    let code = dashboard(&daemon, "cat").await;
    let ways = [fields(&[("code", &code)]), fields(&[("token", daemon.token("cat"))])];
    for way in &ways {
        let kept = bob.post("/signin", way).await;
        assert_eq!((kept.status, kept.cookie()), (409, None));
        assert!(kept.html.contains("you are signed in as bob"), "{}", kept.html);
    }
    assert_eq!(daemon.admin().log_of("user.signed_in").await.len(), 1);
    let own = fields(&[("code", &dashboard(&daemon, "bob").await)]);
    assert_eq!(bob.post("/signin", &own).await.status, 303);
    // Signed out first, it opens: nothing was used up.
    let csrf = bob.get("/inbox").await.between("name=\"csrf\" value=\"", "\"").to_owned();
    bob.post("/signout", &fields(&[("csrf", &csrf)])).await;
    assert_eq!(bob.post("/signin", &ways[0]).await.status, 303);
}

#[tokio::test]
async fn every_page_says_what_browsers_must_not_do() {
    let daemon = prompt_daemon().await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let bob = Browser::signed_in(&daemon, "bob").await;
    let nobody = Browser::new(&daemon);
    for page in PAGES {
        for browser in [&bob, &nobody] {
            let shown = browser.get(&page.replace("ID", &id)).await;
            let header = |name: &str| shown.headers.get(name).map_or("", |v| v.to_str().unwrap());
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{page}");
            assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(header(name), value, "{name} of {page}");
            }
            assert_eq!(header("strict-transport-security"), "", "it is not served over TLS");
            for inline in [" style=", "<style", " onclick=", "javascript:", "<script>"] {
                assert!(!shown.html.contains(inline), "{inline} in {page}");
            }
        }
    }
    let page = bob.get("/inbox").await;
    for (file, kind) in [
        ("app.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("htmx.min.js", "text/javascript; charset=utf-8"),
        ("inter.woff2", "font/woff2"),
        ("mark.svg", "image/svg+xml"),
    ] {
        let path = format!("/assets/{}/{file}", page.between("href=\"/assets/", "/"));
        let asset = nobody.get(&path).await;
        assert_eq!((asset.status, asset.headers[CONTENT_TYPE].to_str().unwrap()), (200, kind));
        assert_eq!(asset.headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(asset.headers["x-content-type-options"], "nosniff");
    }
    let old = nobody.get("/assets/0000000000000000/app.css").await;
    assert_eq!((old.status, old.headers["cache-control"].to_str().unwrap()), (404, "no-store"));
}

#[tokio::test]
async fn the_pages_are_at_a_name_that_no_other_program_has() {
    let daemon = TestDaemon::start().await;
    let browser = Browser::new(&daemon);
    let port = daemon.url("").rsplit(':').next().unwrap().to_owned();
    let form = fields(&[("token", daemon.token("bob"))]);
    for name in ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]"] {
        let host = format!("{name}:{port}");
        let get = browser.request(Method::GET, "/inbox?project=default").header(HOST, &host);
        let led = shown(get).await;
        assert_eq!((led.status, led.location()), (303, &*daemon.page("/inbox?project=default")));
        let post = browser.form("/signin", &form).header(HOST, &host);
        let refused = shown(post.header(ORIGIN, format!("http://{host}"))).await;
        assert_eq!((refused.status, refused.cookie()), (400, None), "{name}");
        assert!(refused.html.contains(&daemon.page("")), "{}", refused.html);
    }
}

#[tokio::test]
async fn over_tls_browsers_are_told_to_stay_there() {
    let settings = "[http]\npublic_url = \"https://vault.example.com\"\n";
    let daemon = TestDaemon::builder().settings(settings).start().await;
    let shown = Browser::new(&daemon).get("/signin").await;
    assert_eq!(shown.headers["strict-transport-security"], "max-age=31536000");
}

#[tokio::test]
async fn a_get_changes_nothing_whatever_it_asks_with() {
    let daemon = prompt_daemon().await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let pending = daemon.grpc("bob").show(&id).await.unwrap();
    let (bob, admin) =
        (Browser::signed_in(&daemon, "bob").await, Browser::signed_in(&daemon, "admin").await);
    let before = log_size(&daemon).await;
    for page in PAGES {
        // A link that is none is somebody's try to get in, and is noted as one.
        if page.starts_with("/link/") {
            continue;
        }
        let page = page.replace("ID", &id).replace("DIGEST", &pending.digest);
        for method in [Method::GET, Method::HEAD] {
            for browser in [&bob, &admin] {
                let answered = shown(browser.request(method.clone(), &page)).await;
                assert!(answered.status < 500 && answered.cookie().is_none(), "{page}");
            }
        }
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answered = shown(bob.request(method.clone(), &page)).await;
            assert_eq!(answered.status, 405, "{method} {page}");
        }
    }
    assert_eq!(log_size(&daemon).await, before);
    assert_eq!(daemon.grpc("bob").show(&id).await.unwrap().status, pending.status);
    assert_eq!(bob.get("/inbox").await.status, 200, "nobody was signed out");
}

/// Where a form says that it comes from, and whether that is one of our own pages.
const ORIGINS: [(&str, &str, bool); 9] = [
    ("OWN", "", true),
    ("OWN", "same-origin", true),
    ("null", "same-origin", true),
    ("", "same-origin", true),
    ("", "", false),
    ("null", "", false),
    ("null", "cross-site", false),
    ("https://evil.example", "", false),
    ("OWN", "cross-site", false),
];

#[tokio::test]
async fn a_form_comes_from_our_own_page_and_from_its_visitor() {
    let daemon = prompt_daemon().await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let bob = Browser::signed_in(&daemon, "bob").await;
    let cat = Browser::signed_in(&daemon, "cat").await;
    let path = format!("/approvals/{id}");
    let deny = |shown: &vouchsafe_tests::pages::Shown| -> Fields {
        // Without a reason, so that a form that is let through changes nothing either.
        with(shown.form("deny"), &[("reason", "")])
    };
    let form = deny(&bob.get(&path).await);
    for (origin, site, ours) in ORIGINS {
        let mut request = bob.form(&path, &form);
        let own = bob.base();
        if !origin.is_empty() {
            request = request.header(ORIGIN, if origin == "OWN" { own } else { origin });
        }
        if !site.is_empty() {
            request = request.header("sec-fetch-site", site);
        }
        let answered = shown(request).await;
        let expected = if ours { 400 } else { 403 };
        assert_eq!(answered.status, expected, "{origin} {site}: {}", answered.html);
    }
    // Another visitor's mark, another session's of the same visitor, none at all.
    let bobs_other = Browser::signed_in(&daemon, "bob").await;
    let other = deny(&cat.get(&path).await);
    let second = deny(&bobs_other.get(&path).await);
    let none = with(form.clone(), &[("csrf", "")]);
    for form in [other, second, none] {
        let answered = shown(bob.form(&path, &form).header(ORIGIN, bob.base())).await;
        assert_eq!(answered.status, 403, "{}", answered.html);
        assert!(answered.html.contains("was not sent by a page that you were shown"));
    }
    // Something that is no form, and one that is too large.
    let json = bob.request(Method::POST, &path).header(ORIGIN, bob.base());
    assert_eq!(shown(json.header(CONTENT_TYPE, "application/json").body("{}")).await.status, 400);
    let large = with(form, &[("reason", &"x".repeat(70_000))]);
    assert_eq!(shown(bob.form(&path, &large).header(ORIGIN, bob.base())).await.status, 400);
    assert_eq!(daemon.grpc("bob").pending(1).await.len(), 1);
}

#[tokio::test]
async fn who_has_no_role_for_a_page_is_told_so() {
    let mut daemon = prompt_daemon().await;
    daemon.add_user("eve", &[], &[]).await;
    daemon.add_user("max", &[Role::Auditor], &[]).await;
    let id = daemon.agent("claude").read("production/DB").await.approval();
    let eve = Browser::signed_in(&daemon, "eve").await;
    for page in ["/inbox".to_owned(), format!("/approvals/{id}"), "/events".to_owned()] {
        let shown = eve.get(&page).await;
        assert_eq!(shown.status, 403, "{page}");
        assert!(shown.html.contains("which eve does not have"), "{}", shown.html);
    }
    let refused = daemon.admin().log_of("door.refused").await;
    assert_eq!(refused[0]["actor"]["name"], "eve");
    // An auditor sees it and the log about it, and has nothing to answer with.
    let max = Browser::signed_in(&daemon, "max").await;
    let shown = max.get(&format!("/approvals/{id}")).await;
    assert!(shown.status == 200 && !shown.html.contains("id=\"approve\""));
    assert!(shown.html.contains("approval.requested"));
    let bob = Browser::signed_in(&daemon, "bob").await;
    let seen = bob.get(&format!("/approvals/{id}")).await;
    assert!(seen.html.contains("id=\"approve\"") && !seen.html.contains("In the log"));
}

#[tokio::test]
async fn a_link_from_elsewhere_is_asked_for_again_by_our_own_page() {
    let daemon = TestDaemon::start().await;
    let nobody = Browser::new(&daemon);
    let request = nobody.request(Method::GET, "/approvals/ap_1");
    let first = shown(request.header("sec-fetch-site", "cross-site")).await;
    assert_eq!(first.status, 200);
    assert!(first.html.contains("http-equiv=\"refresh\" content=\"0; url=/approvals/ap_1\""));
    let request = nobody.request(Method::GET, "/approvals/ap_1");
    let second = shown(request.header("sec-fetch-site", "same-origin")).await;
    assert_eq!(second.location(), "/signin?next=%2Fapprovals%2Fap_1");
}
