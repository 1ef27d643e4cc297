//! Answers that people give on the pages, and by links that answer once.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::json;
use tokio_stream::StreamExt as _;
use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_proto::v1::{
    ApprovalStatus, DisableUserRequest, GrantKind, Role, ShowUserRequest, UpdateUserRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::within;
use vouchsafe_tests::mcp::uri;
use vouchsafe_tests::pages::{Browser, Shown, with};
use vouchsafe_tests::smtp::{SmtpServer, Tls};
use vouchsafed::broker::Refused;
use vouchsafed::clock::Clock as _;

use crate::{minutes, prompt_daemon};

const EVIL: &str = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> {{ 7*7 }} \
                    ok\u{202e}live\u{200b} </blockquote><form action=//evil.example>";

async fn asked(daemon: &TestDaemon, path: &str) -> String {
    let answer = daemon.agent("claude").read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    answer.approval()
}

/// What is shown of an approval, as it was hashed.
fn rendering(shown: &Shown) -> String {
    let evidence = shown.between("<article id=\"evidence\">\n", "\n</article>");
    HEXLOWER.encode(digest(&SHA256, evidence.as_bytes()).as_ref())
}

#[tokio::test]
async fn an_answer_on_the_page_counts_and_says_what_was_seen() {
    let daemon = prompt_daemon().await;
    let id = asked(&daemon, "production/DB").await;
    let mut bob = Browser::signed_in(&daemon, "bob").await;
    let inbox = bob.get("/inbox").await;
    assert!(inbox.html.contains("For you to answer") && inbox.html.contains(&id));
    let path = format!("/approvals/{id}");
    let page = bob.get(&path).await;
    let short = daemon.grpc("bob").show(&id).await.unwrap().short_digest;
    assert!(page.html.contains(&format!("<p class=\"digest\">{short}</p>")));
    assert!(page.html.contains("claude asks to read production/DB"));
    let form = page.form("approve");
    let seen = form.iter().find(|(name, _)| name == "rendering").unwrap().1.clone();
    assert_eq!(seen, rendering(&page));

    let limits = [("duration", "5m"), ("uses", "2"), ("reason", "go on")];
    let answered = bob.post(&path, &with(form.clone(), &limits)).await;
    assert_eq!((answered.status, answered.location()), (303, path.as_str()));
    let page = bob.get(&path).await;
    assert!(page.html.contains("You approved this") && !page.html.contains("id=\"approve\""));
    let approved = daemon.grpc("bob").show(&id).await.unwrap();
    assert_eq!(approved.status(), ApprovalStatus::Approved);
    assert_eq!((approved.votes[0].via.as_str(), approved.votes[0].uses), ("web", 2));
    let entry = daemon.admin().log_of("approval.voted").await.remove(0);
    assert_eq!(entry["actor"]["proof"], "user-token");
    assert_eq!(entry["actor"]["via"], "web");
    assert_eq!(entry["details"]["rendering"], seen);

    // Once more, and by somebody else: the page says who settled it and how.
    let again = bob.post(&path, &form).await;
    assert_eq!(again.status, 409);
    assert!(again.html.contains("was approved by bob at"), "{}", again.html);
    let cat = Browser::signed_in(&daemon, "cat").await;
    assert!(cat.get(&path).await.html.contains("It was approved by bob."));
}

#[tokio::test]
async fn a_denial_needs_a_reason_and_what_was_typed_is_kept() {
    let daemon = prompt_daemon().await;
    let id = asked(&daemon, "production/DB").await;
    let mut bob = Browser::signed_in(&daemon, "bob").await;
    let path = format!("/approvals/{id}");
    let page = bob.get(&path).await;
    let empty = bob.post(&path, &with(page.form("deny"), &[("reason", " ")])).await;
    assert_eq!(empty.status, 400);
    assert!(empty.html.contains("a denial needs a reason"), "{}", empty.html);
    let typed = [("duration", "3 weeks<b>"), ("reason", "for \"them\""), ("for", "once")];
    let wrong = bob.post(&path, &with(page.form("approve"), &typed)).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.html.contains("value=\"3 weeks&#60;b&#62;\""), "{}", wrong.html);
    assert!(wrong.html.contains("value=\"once\" checked"));
    let wide = bob.post(&path, &with(page.form("approve"), &[("duration", "10h")])).await;
    assert!(wide.html.contains("a lease may be made shorter, not longer"), "{}", wide.html);
    let denied = bob.post(&path, &with(wide.form("deny"), &[("reason", "use staging")])).await;
    assert_eq!(denied.status, 303);
    let shown = daemon.grpc("bob").show(&id).await.unwrap();
    assert_eq!(
        (shown.status(), shown.outcome_reason.as_str()),
        (ApprovalStatus::Denied, "use staging")
    );
}

#[tokio::test]
async fn an_answer_is_to_what_was_shown_and_nothing_else() {
    let daemon = prompt_daemon().await;
    let (id, other) =
        (asked(&daemon, "production/DB").await, asked(&daemon, "production/API").await);
    let mut bob = Browser::signed_in(&daemon, "bob").await;
    let path = format!("/approvals/{id}");
    let form = bob.get(&path).await.form("approve");
    let foreign = bob.get(&format!("/approvals/{other}")).await.form("approve");
    let digest = daemon.grpc("bob").show(&other).await.unwrap().digest;
    let evil = "00".repeat(32);
    for wrong in [
        with(form.clone(), &[("digest", &digest)]),
        with(form.clone(), &[("digest", "")]),
        with(form.clone(), &[("rendering", &evil)]),
        with(form.clone(), &[("seal", &evil)]),
        with(form.clone(), &[("seal", "")]),
        foreign,
    ] {
        let answered = bob.post(&path, &wrong).await;
        assert_eq!(answered.status, 409);
        assert!(answered.html.contains("something other than what is asked now"));
        assert!(answered.html.contains("id=\"approve\""), "it is shown anew");
    }
    for odd in [("ballot", "maybe"), ("ballot", ""), ("for", "ever"), ("uses", "-1")] {
        assert_eq!(bob.post(&path, &with(form.clone(), &[odd])).await.status, 400, "{odd:?}");
    }
    // Ann owns the key, dan is on no call: neither has a form, and another's form is not theirs.
    for name in ["ann", "dan"] {
        let mut browser = Browser::signed_in(&daemon, name).await;
        let page = browser.get(&path).await;
        assert!(page.status == 200 && !page.html.contains("id=\"approve\""), "{name}");
        assert!(page.html.contains("may not answer"));
        assert_eq!(browser.post(&path, &form).await.status, 403);
        let csrf = page.between("name=\"csrf\" value=\"", "\"");
        let forged = with(form.clone(), &[("csrf", csrf)]);
        assert_eq!(browser.post(&path, &forged).await.status, 409);
    }
    assert_eq!(daemon.grpc("bob").pending(2).await.len(), 2);
}

#[tokio::test]
async fn some_of_several_can_be_approved_for_once() {
    let daemon = prompt_daemon().await;
    let resources = [uri("production/DB"), uri("production/API")];
    let ask = json!({ "resources": resources, "operation": "read" });
    let id = daemon.agent("claude").call("request_access", ask).await.approval();
    let mut bob = Browser::signed_in(&daemon, "bob").await;
    let path = format!("/approvals/{id}");
    let form = bob.get(&path).await.form("approve");
    let none = bob.post(&path, &form).await;
    assert!(none.html.contains("no resource is chosen"), "{}", none.html);
    let some = with(form, &[("only", &uri("production/DB")), ("for", "once")]);
    assert_eq!(bob.post(&path, &some).await.status, 303);
    let vote = daemon.grpc("bob").show(&id).await.unwrap().votes.remove(0);
    assert_eq!((vote.only.as_slice(), vote.kind()), (&[uri("production/DB")][..], GrantKind::Once));
}

#[tokio::test]
async fn text_of_agents_is_text() {
    let daemon = prompt_daemon().await;
    let ask = json!({ "uri": uri("explained/KEY"), "reason": EVIL });
    let id = daemon.agent("claude").call("read_secret", ask).await.approval();
    let bob = Browser::signed_in(&daemon, "bob").await;
    for page in ["/inbox".to_owned(), format!("/approvals/{id}")] {
        let html = bob.get(&page).await.html;
        for live in ["<script>alert", "<img src=x", "<form action=//", "\u{202e}", "\u{200b}"] {
            assert!(!html.contains(live), "{live} in {page}");
        }
        assert!(html.contains("&#60;script&#62;alert(1)") && html.contains("\\u{202e}live"));
    }
    let html = bob.get(&format!("/approvals/{id}")).await.html;
    assert!(html.contains("in the agent’s words") && html.contains("Caution:"), "{html}");
}

#[tokio::test]
async fn an_open_inbox_is_told_that_something_changed_until_its_session_ends() {
    let daemon = prompt_daemon().await;
    let bob = Browser::signed_in(&daemon, "bob").await;
    let response = bob.request(reqwest::Method::GET, "/events").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut told = response.bytes_stream();
    let first = within("a first word", told.next()).await.unwrap().unwrap();
    assert!(first.starts_with(b"retry: 3000\n\nevent: changed"));
    asked(&daemon, "production/DB").await;
    let change = within("a change", told.next()).await.unwrap().unwrap();
    assert_eq!(&change[..], b"event: changed\ndata: now\n\n");
    let request = DisableUserRequest { name: "bob".to_owned(), reason: String::new() };
    daemon.admin().users().disable_user(request).await.unwrap();
    asked(&daemon, "production/API").await;
    assert!(within("the end", told.next()).await.is_none());
}

/// Has e-mail reach somebody here.
async fn reached_at(daemon: &TestDaemon, name: &str, address: &str) {
    let request = UpdateUserRequest {
        name: name.to_owned(),
        email: address.to_owned(),
        set_email: true,
        ..UpdateUserRequest::default()
    };
    daemon.admin().users().update_user(request).await.unwrap();
}

/// A link as a mail holds it: its path.
async fn link(daemon: &TestDaemon, name: &str, id: &str) -> String {
    let address = format!("{name}@example.com");
    reached_at(daemon, name, &address).await;
    let made = link_to(daemon, name, &address, id).await;
    made.unwrap().strip_prefix(&daemon.page("")).unwrap().to_owned()
}

/// The link of a mail that goes to this address.
async fn link_to(
    daemon: &TestDaemon,
    name: &str,
    address: &str,
    id: &str,
) -> Result<String, Refused> {
    let admin = daemon.admin();
    let request = ShowUserRequest { name: name.to_owned() };
    let user = admin.users().show_user(request).await.unwrap().into_inner();
    let approval = daemon.grpc(name).show(id).await.unwrap();
    let digest: ApprovalDigest = approval.digest.parse().unwrap();
    let until = daemon.clock.now().wall.plus(minutes(60 * 24));
    let (user, id) = (user.id.parse().unwrap(), id.parse().unwrap());
    daemon.running().broker().one_time_link(user, address, id, &digest, until).await
}

#[tokio::test]
async fn no_link_goes_to_an_address_that_is_no_longer_theirs() {
    let daemon = prompt_daemon().await;
    let id = asked(&daemon, "production/DB").await;
    let refused = link_to(&daemon, "bob", "bob@example.com", &id).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "NO_ADDRESS");
    reached_at(&daemon, "bob", "bob@example.com").await;
    link_to(&daemon, "bob", "bob@example.com", &id).await.unwrap();
    reached_at(&daemon, "bob", "bob@example.org").await;
    let refused = link_to(&daemon, "bob", "bob@example.com", &id).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "NO_ADDRESS");
}

#[tokio::test]
async fn a_link_answers_once_as_whom_it_was_sent_to() {
    let daemon = prompt_daemon().await;
    let id = asked(&daemon, "production/DB").await;
    let link = link(&daemon, "bob", &id).await;
    let mut nobody = Browser::new(&daemon);
    // Programs that read mail open links, as often as they like.
    let mut page = nobody.get(&link).await;
    for _ in 0..3 {
        page = nobody.get(&link).await;
    }
    assert_eq!(page.status, 200);
    assert!(page.html.contains("claude asks to read production/DB"));
    assert!(!page.html.contains("name=\"token\"") && !page.html.contains("/signout"));
    assert_eq!(daemon.grpc("bob").show(&id).await.unwrap().status(), ApprovalStatus::Pending);

    let form = page.form("approve");
    for (name, value) in [("csrf", ""), ("seal", "00"), ("digest", "00")] {
        let wrong = nobody.post(&link, &with(form.clone(), &[(name, value)])).await;
        assert!(matches!(wrong.status, 403 | 409), "{name}");
    }
    let answered = nobody.post(&link, &form).await;
    assert_eq!((answered.status, answered.cookie()), (200, None));
    assert!(answered.html.contains("You approved this"), "{}", answered.html);
    let entry = daemon.admin().log_of("approval.voted").await.remove(0);
    assert_eq!(entry["actor"]["name"], "bob");
    assert_eq!(entry["actor"]["proof"], "one-time-link");
    assert_eq!(entry["details"]["rendering"], rendering(&page));
    for again in [nobody.post(&link, &form).await, nobody.get(&link).await] {
        assert_eq!(again.status, 401);
        assert!(again.html.contains("was used") && again.html.contains("href=\"/signin\""));
    }
    assert!(nobody.get("/inbox").await.location() == "/signin", "no session comes of it");
}

#[tokio::test]
async fn a_link_is_for_one_person_one_approval_and_one_hour() {
    let daemon = prompt_daemon().await;
    let first = asked(&daemon, "vault/CODE").await;
    let second = asked(&daemon, "production/API").await;
    let (bobs, cats) = (link(&daemon, "bob", &first).await, link(&daemon, "cat", &first).await);
    let other = link(&daemon, "bob", &second).await;
    let mut nobody = Browser::new(&daemon);
    let form = nobody.get(&bobs).await.form("approve");
    // The form of one link by another.
    for elsewhere in [&cats, &other] {
        assert_eq!(nobody.post(elsewhere, &form).await.status, 403);
    }
    let guess = format!("{}{}", &bobs[..bobs.len() - 4], "AAAA");
    let short = &bobs[..bobs.len() - 1];
    for wrong in [guess.as_str(), short, "/link/x", "/link/%00"] {
        let shown = nobody.get(wrong).await;
        assert!(matches!(shown.status, 400 | 401), "{wrong}: {}", shown.status);
    }
    assert_eq!(nobody.post(&bobs, &form).await.status, 200);
    assert_eq!(nobody.get(&cats).await.status, 200, "cat's is as it was");

    let request = DisableUserRequest { name: "cat".to_owned(), reason: String::new() };
    daemon.admin().users().disable_user(request).await.unwrap();
    assert_eq!(nobody.get(&cats).await.status, 401);
    // The ask waits an hour, and the link no longer than that.
    let form = nobody.get(&other).await.form("approve");
    daemon.clock.advance(minutes(60));
    let late = nobody.post(&other, &form).await;
    assert!(late.status == 401 && late.html.contains("has expired"), "{}", late.html);
    assert!(daemon.grpc("bob").show(&second).await.unwrap().votes.is_empty());
}

#[tokio::test]
async fn mails_hold_links_where_these_are_on() {
    let server = SmtpServer::start(Tls::None).await;
    let settings = server.settings("one_time_links = true");
    let builder = TestDaemon::builder().block_for(std::time::Duration::ZERO).settings(&settings);
    let mut daemon = builder.start().await;
    daemon.add_user("eve@example.com", &[Role::Approver], &["oncall"]).await;
    let id = asked(&daemon, "production/DB").await;
    daemon.sweep().await;
    let mail = server.arrived(1).await.remove(0);
    let text = String::from_utf8(mail.raw).unwrap().replace("=\r\n", "");
    let base = daemon.page("/link/");
    let token: String = text
        .split_once(&base)
        .unwrap()
        .1
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    let mut eve = Browser::new(&daemon);
    let link = format!("/link/{token}");
    let form = with(eve.get(&link).await.form("deny"), &[("reason", "not now")]);
    assert_eq!(eve.post(&link, &form).await.status, 200);
    let denied = daemon.admin().show(&id).await.unwrap();
    assert_eq!(denied.votes[0].user, "eve@example.com");
    let log = String::from_utf8(daemon.admin().export().await.lines).unwrap();
    assert!(!log.contains(&token) && !log.contains(&token[16..]));
}
