//! The pages of lists: who may open them, what they show, and ending a lease.

use reqwest::header::ORIGIN;
use vouchsafe_core::id::MessageId;
use vouchsafe_proto::v1::{CreateProjectRequest, Role, UpdateUserRequest};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::pages::{Browser, Shown, fields, shown};

use crate::prompt_daemon;

const PATHS: [&str; 5] = ["/leases", "/secrets", "/keys", "/audit", "/deliveries"];

/// The mark that the forms of a page carry.
fn mark(page: &Shown) -> &str {
    page.between("name=\"csrf\" value=\"", "\"")
}

/// The addresses of the menu.
fn menu(page: &Shown) -> Vec<String> {
    let Some((_, menu)) = page.html.split_once("class=\"menu\"") else { return Vec::new() };
    let links = menu.split("</nav>").next().unwrap().split("href=\"").skip(1);
    links.map(|link| link.split('"').next().unwrap().to_owned()).collect()
}

/// A daemon with somebody of each role, named by it, and a lease of `claude`.
async fn with_everybody() -> (TestDaemon, String) {
    let mut daemon = prompt_daemon().await;
    daemon.add_user("auditor", &[Role::Auditor], &[]).await;
    daemon.add_user("operator", &[Role::Operator], &[]).await;
    daemon.add_user("nobody", &[], &[]).await;
    let lease = daemon.agent("claude").read("staging/DB").await.lease();
    (daemon, lease)
}

#[tokio::test]
async fn who_may_open_and_do_what_is_a_table() {
    let (daemon, lease) = with_everybody().await;
    let unknown = MessageId::from_random([7; 10]).to_string();
    for (name, opened, revokes, retries) in [
        ("nobody", "-----", false, false),
        ("dan", "L---D", true, false),
        ("auditor", "LSKAD", false, false),
        ("operator", "LSK-D", true, true),
        ("admin", "LSKAD", true, true),
    ] {
        let mut browser = Browser::signed_in(&daemon, name).await;
        let mut found = String::new();
        let mut listed = Vec::new();
        for (path, letter) in PATHS.iter().zip("LSKAD".chars()) {
            let page = browser.get(path).await;
            if page.status == 200 {
                found.push(letter);
            } else {
                assert_eq!(page.status, 403, "{name} {path}");
                assert!(page.html.contains("needs the role"), "{}", page.html);
                found.push('-');
            }
            listed = menu(&page);
        }
        assert_eq!(found, opened, "{name}");
        let wanted = PATHS.iter().zip(opened.chars()).filter(|(_, may)| *may != '-');
        let wanted: Vec<_> = wanted.map(|(path, _)| *path).collect();
        listed.retain(|path| path != "/inbox");
        assert_eq!(listed, wanted, "the menu of {name}");
        if !opened.contains('L') {
            continue;
        }
        let page = browser.get(&format!("/leases/{lease}")).await;
        assert_eq!(page.html.contains("/revoke\""), revokes, "{name}");
        let page = browser.get("/deliveries").await;
        assert_eq!(page.html.contains("id=\"channels\""), opened.contains('S'), "{name}");
        let form = fields(&[("csrf", mark(&page)), ("id", &unknown)]);
        let tried = browser.post("/deliveries/retry", &form).await;
        assert_eq!(tried.status, if retries { 404 } else { 403 }, "{name}");
    }
}

#[tokio::test]
async fn nobody_who_has_not_signed_in_sees_a_list() {
    let daemon = prompt_daemon().await;
    let browser = Browser::new(&daemon);
    for path in PATHS {
        let page = browser.get(path).await;
        assert_eq!(page.status, 303);
        assert!(page.location().starts_with("/signin"), "{}", page.location());
    }
    let form = fields(&[("csrf", "x")]);
    let post = browser.form("/leases/lse_1/revoke", &form).header(ORIGIN, browser.base());
    assert_eq!(shown(post).await.status, 401);
}

#[tokio::test]
async fn a_lease_is_revoked_by_its_own_form_and_by_no_other() {
    let (daemon, lease) = with_everybody().await;
    let mut browser = Browser::signed_in(&daemon, "dan").await;
    let page = browser.get(&format!("/leases/{lease}")).await;
    let path = format!("/leases/{lease}/revoke");
    let good = fields(&[("csrf", mark(&page)), ("reason", "it is <b>over</b>\u{202e}")]);
    // A GET, another site, no mark, another mark, somebody else's mark, no role, too long a reason.
    assert_eq!(browser.get(&path).await.status, 405);
    let foreign = browser.form(&path, &good).header(ORIGIN, "https://evil.example");
    assert_eq!(shown(foreign).await.status, 403);
    assert_eq!(browser.post(&path, &fields(&[])).await.status, 403);
    assert_eq!(browser.post(&path, &fields(&[("csrf", "guessed")])).await.status, 403);
    let mut auditor = Browser::signed_in(&daemon, "auditor").await;
    assert_eq!(auditor.post(&path, &good).await.status, 403);
    let own = auditor.get("/leases").await;
    assert_eq!(auditor.post(&path, &fields(&[("csrf", mark(&own))])).await.status, 403);
    let long = "x".repeat(501);
    let long = fields(&[("csrf", mark(&page)), ("reason", &long)]);
    assert_eq!(browser.post(&path, &long).await.status, 400);
    assert!(daemon.admin().log_of("lease.revoked").await.is_empty());

    let revoked = browser.post(&path, &good).await;
    assert_eq!((revoked.status, revoked.location()), (303, format!("/leases/{lease}").as_str()));
    let page = browser.get(&format!("/leases/{lease}")).await;
    assert!(page.html.contains("status-revoked"), "{}", page.html);
    assert!(page.html.contains("it is &#60;b&#62;over&#60;/b&#62;\\u{202e}"), "{}", page.html);
    assert!(!page.html.contains("/revoke\""), "it can be revoked once more");
    let entries = daemon.admin().log_of("lease.revoked").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["actor"]["name"], "dan");
    assert_eq!(entries[0]["actor"]["via"], "web");
    assert_eq!(entries[0]["lease"], lease.as_str());
    // What has ended is ended once.
    let again = fields(&[("csrf", mark(&page))]);
    assert_eq!(browser.post(&path, &again).await.status, 409);
}

#[tokio::test]
async fn lists_are_narrowed_by_what_their_address_says() {
    let (daemon, lease) = with_everybody().await;
    daemon.agent("cursor").read("staging/DB").await;
    let browser = Browser::signed_in(&daemon, "admin").await;
    for (path, count) in [
        ("/leases", 2),
        ("/leases?key=claude", 1),
        ("/leases?key=blind", 0),
        ("/leases?resource=secrets/staging/*", 2),
        ("/leases?resource=vouchsafe://secrets/production/**", 0),
        ("/leases?status=ended", 0),
        ("/leases?status=all&project=default", 2),
        ("/secrets", 8),
        ("/secrets?path=production/*", 2),
        ("/secrets?label=team", 0),
        ("/secrets?status=deleted", 0),
        ("/keys", 3),
        ("/keys?project=default", 3),
        ("/deliveries", 0),
        ("/deliveries?status=failed", 0),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.html.matches("<li class=\"row\"").count(), count, "{path}");
    }
    for (path, status, says) in [
        ("/leases?resource=a//b", 400, "That did not work"),
        ("/leases?project=nowhere", 404, "That did not work"),
        ("/leases/lse_nonsense", 404, "There is nothing here"),
        ("/secrets?path=a//b", 400, "That did not work"),
        ("/secrets/default/no/SUCH", 404, "There is nothing here"),
        ("/audit?action=secret.stolen", 400, "the log knows no action"),
        ("/audit?since=soon", 400, "is no time"),
        ("/audit?outcome=odd", 400, "is no outcome"),
        ("/audit?page=x", 400, "page token"),
        ("/deliveries?status=lost", 400, "a message is queued, sent, failed or answered"),
        ("/deliveries?channel=pager", 400, "a channel is"),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.html);
        assert!(page.html.contains(says), "{path}: {}", page.html);
    }
    let page = browser.get(&format!("/leases/{lease}")).await;
    assert!(page.html.contains("vouchsafe://secrets/staging/DB"), "{}", page.html);
}

#[tokio::test]
async fn the_log_is_searched_and_drawn_and_that_is_one_entry() {
    let (daemon, _) = with_everybody().await;
    daemon.agent("claude").read("staging/DB").await;
    daemon.agent("claude").read("unruled/THING").await;
    let browser = Browser::signed_in(&daemon, "auditor").await;
    let page = browser.get("/audit?action=secret.read&actor=claude&since=2026-11-21").await;
    let entries = page.html.matches("<details class=\"entry\"").count();
    assert_eq!((page.status, entries), (200, 3), "{}", page.html);
    assert!(page.html.contains("2 released") && page.html.contains("1 refused"), "{}", page.html);
    assert!(page.html.contains("<svg class=\"bars\" role=\"img\""), "{}", page.html);
    let none = browser.get("/audit?actor=cursor").await;
    assert!(none.html.contains("0 released"), "{}", none.html);
    let queried = daemon.admin().log_of("audit.queried").await;
    let by_auditor = queried.iter().filter(|entry| entry["actor"]["name"] == "auditor");
    assert_eq!(by_auditor.count(), 2);
}

#[tokio::test]
async fn no_page_holds_a_value_a_key_or_a_token() {
    let (daemon, lease) = with_everybody().await;
    let pending = daemon.agent("claude").read("production/DB").await.approval();
    let browser = Browser::signed_in(&daemon, "admin").await;
    let mut paths = PATHS.map(str::to_owned).to_vec();
    paths.push(format!("/leases/{lease}"));
    paths.push(format!("/approvals/{pending}"));
    paths.push("/secrets/default/staging/DB".to_owned());
    paths.push("/secrets/default/production/DB".to_owned());
    for path in paths {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        for secret in [
            value_of("staging/DB"),
            value_of("production/DB"),
            daemon.token("admin").to_owned(),
            daemon.agent("claude").key().to_owned(),
            browser.cookie.clone().unwrap(),
        ] {
            assert!(!page.html.contains(&secret), "a secret is on {path}");
        }
        // The policy of the pages allows none.
        assert!(!page.html.contains("style=") && !page.html.contains(" onclick"), "{path}");
    }
}

#[tokio::test]
async fn somebody_of_one_project_sees_that_project() {
    let (daemon, lease) = with_everybody().await;
    let admin = daemon.admin();
    let shop = CreateProjectRequest { name: "shop".to_owned(), ..CreateProjectRequest::default() };
    admin.projects().create_project(shop).await.unwrap();
    let change = UpdateUserRequest {
        name: "nobody".to_owned(),
        project: "shop".to_owned(),
        roles: vec![Role::Auditor.into()],
        set_roles: true,
        ..UpdateUserRequest::default()
    };
    admin.users().update_user(change).await.unwrap();
    let browser = Browser::signed_in(&daemon, "nobody").await;
    for path in PATHS {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let shows = |text: &str| page.html.contains(text);
        assert!(!shows("staging/DB") && !shows("<strong>claude</strong>"), "{path}: {}", page.html);
    }
    for path in ["/secrets?project=default", "/secrets/default/staging/DB", "/keys?project=default"]
    {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    assert_eq!(browser.get(&format!("/leases/{lease}")).await.status, 404);
}
