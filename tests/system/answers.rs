//! One table: what an answer gets that should not count, whichever way it comes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ORIGIN};
use serde_json::{Value, json};
use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_proto::v1::{
    Approval, AuditFilter, DisableUserRequest, Role, ShowUserRequest, UpdateUserRequest,
    VoteRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::grpc::{said, yes};
use vouchsafe_tests::pages::{Browser, Fields, shown};
use vouchsafe_tests::slack::{SECRET, SlackStub, TOKEN, form, now, pressed, sign};
use vouchsafed::clock::Clock as _;

use crate::minutes;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A way that an answer comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Grpc,
    Page,
    Link,
    Slack,
    Api,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    Forged,
    Stale,
    Misdirected,
    Repeated,
    Settled,
    Expired,
    CrossSite,
    NotNamed,
    OwnAsk,
    NoRole,
    Disabled,
}

const WAYS: [Way; 5] = [Way::Grpc, Way::Page, Way::Link, Way::Slack, Way::Api];
const WRONGS: [(Wrong, &str); 11] = [
    (Wrong::Forged, "forged: the proof is not whole"),
    (Wrong::Stale, "stale: of something other than is asked"),
    (Wrong::Misdirected, "misdirected: made for another approval"),
    (Wrong::Repeated, "repeated by the same person"),
    (Wrong::Settled, "after somebody else's decision"),
    (Wrong::Expired, "after its time"),
    (Wrong::CrossSite, "cross-site: sent by another page"),
    (Wrong::NotNamed, "by an approver whom no rule names"),
    (Wrong::OwnAsk, "by the owner of the key that asks"),
    (Wrong::NoRole, "by somebody without the role"),
    (Wrong::Disabled, "by somebody who was disabled since"),
];

/// An answer, ready to be sent: a yes of one person to one approval.
#[derive(Clone, Debug)]
enum Ticket {
    Grpc { token: String, request: VoteRequest },
    Form { browser: Browser, path: String, fields: Fields },
    Slack { payload: Value },
    Api { token: String, id: String, body: Value },
}

/// A daemon with a bot, and people who are linked to it.
struct World {
    stub: SlackStub,
    daemon: TestDaemon,
}

impl World {
    async fn new() -> Self {
        let stub = SlackStub::start().await;
        let mut daemon = TestDaemon::builder()
            .block_for(Duration::ZERO)
            .settings(&stub.settings())
            .file("slack.token", TOKEN)
            .file("slack.signing", SECRET)
            .start()
            .await;
        daemon.add_user("eve", &[Role::Auditor], &["oncall"]).await;
        for name in ["ann", "bob", "cat", "dan", "eve"] {
            let request = UpdateUserRequest {
                name: name.to_owned(),
                slack_id: member(name),
                set_slack_id: true,
                email: address(name),
                set_email: true,
                ..UpdateUserRequest::default()
            };
            daemon.admin().users().update_user(request).await.unwrap();
        }
        Self { stub, daemon }
    }

    /// Claude, whose key is ann's, asks for this.
    async fn asked(&self, path: &str) -> Approval {
        let id = self.daemon.agent("claude").read(path).await.approval();
        self.daemon.admin().show(&id).await.unwrap()
    }

    /// This person's yes to it.
    async fn ticket(&self, way: Way, who: &str, approval: &Approval) -> Ticket {
        let (daemon, id) = (&self.daemon, &approval.id);
        match way {
            Way::Grpc => {
                Ticket::Grpc { token: daemon.token(who).to_owned(), request: yes(approval) }
            }
            Way::Page => {
                let browser = Browser::signed_in(daemon, who).await;
                let path = format!("/approvals/{id}");
                let fields = self.fields(&browser, &path).await;
                Ticket::Form { browser, path, fields }
            }
            Way::Link => {
                let browser = Browser::new(daemon);
                let path = self.link(who, approval).await;
                let fields = self.fields(&browser, &path).await;
                Ticket::Form { browser, path, fields }
            }
            Way::Slack => {
                let posted = eventually("the message", || async {
                    let calls = self.stub.calls("api/chat.postMessage");
                    let mut about = calls
                        .into_iter()
                        .filter(|call| call.body.to_string().contains(&approval.digest));
                    about.next().map(|call| call.body)
                })
                .await;
                let payload = pressed(&self.stub, &member(who), &posted, "vouchsafe_approve");
                Ticket::Slack { payload }
            }
            Way::Api => Ticket::Api {
                token: daemon.token(who).to_owned(),
                id: id.clone(),
                body: json!({ "decision": "approve", "digest": approval.digest }),
            },
        }
    }

    /// The form of a page; that of nobody's, where the page shows them none.
    async fn fields(&self, browser: &Browser, path: &str) -> Fields {
        let page = browser.get(path).await;
        if page.html.contains("id=\"approve\"") {
            return page.form("approve");
        }
        vouchsafe_tests::pages::fields(&[("answer", "approve")])
    }

    async fn link(&self, who: &str, approval: &Approval) -> String {
        let admin = self.daemon.admin();
        let request = ShowUserRequest { name: who.to_owned() };
        let user = admin.users().show_user(request).await.unwrap().into_inner();
        let digest: ApprovalDigest = approval.digest.parse().unwrap();
        let at = address(who);
        let made = self.daemon.running().broker().one_time_link(
            user.id.parse().unwrap(),
            &at,
            approval.id.parse().unwrap(),
            &digest,
            self.daemon.clock.now().wall.plus(minutes(60)),
        );
        made.await.unwrap().strip_prefix(&self.daemon.page("")).unwrap().to_owned()
    }

    /// Codes of refusals in the log, oldest first.
    async fn refusals(&self) -> Vec<String> {
        self.daemon.sweep().await;
        let filter = AuditFilter { outcome: "refused".to_owned(), ..AuditFilter::default() };
        let log = self.daemon.admin().log(filter).await;
        log.iter().map(|entry| entry["details"]["code"].as_str().unwrap().to_owned()).collect()
    }

    /// What the answer gets: the status of HTTP where there is one, and what the log says of it.
    async fn sent(&self, ticket: &Ticket, origin: Option<&str>, forged: bool) -> String {
        let before = self.refusals().await.len();
        let status = match ticket {
            Ticket::Grpc { token, request } => {
                let person = self.daemon.grpc_with(Some(token));
                return match person.vote(request.clone()).await {
                    Ok(_) => "taken".to_owned(),
                    Err(status) => said(&status).code,
                };
            }
            Ticket::Form { browser, path, fields } => {
                let own = browser.base().to_owned();
                let request = browser.form(path, fields);
                shown(request.header(ORIGIN, origin.unwrap_or(&own))).await.status
            }
            Ticket::Slack { payload } => {
                let (body, at) = (form(payload), now(&self.daemon).to_string());
                let secret = if forged { "another secret" } else { SECRET };
                let mut headers = vec![
                    ("x-slack-request-timestamp", at.clone()),
                    ("x-slack-signature", sign(secret, &at, &body)),
                ];
                headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                vouchsafe_tests::slack::raw(&self.daemon, &body, &headers).await.status.as_u16()
            }
            Ticket::Api { token, id, body } => {
                let path = format!("/v1/approvals/{id}/respond");
                let mut request = Browser::new(&self.daemon)
                    .request(Method::POST, &path)
                    .bearer_auth(token)
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string());
                if let Some(origin) = origin {
                    request = request.header(ORIGIN, origin);
                }
                shown(request).await.status
            }
        };
        // Slack is acknowledged first; whoever pressed is told then.
        if matches!(ticket, Ticket::Slack { .. }) && status == 200 {
            eventually("that they are told", || async {
                let told = self.refusals().await.len() > before;
                told.then_some(())
            })
            .await;
        }
        let refusals = self.refusals().await;
        let code = refusals.get(before..).and_then(<[_]>::last);
        format!("{status} {}", code.map_or("", String::as_str)).trim_end().to_owned()
    }

    /// One cell of the table.
    async fn cell(way: Way, wrong: Wrong) -> String {
        let world = Self::new().await;
        // Two people are needed, but where one is to settle it.
        let path = if wrong == Wrong::Settled { "production/DB" } else { "vault/CODE" };
        let approval = world.asked(path).await;
        let who = match wrong {
            Wrong::NotNamed => "dan",
            Wrong::OwnAsk => "ann",
            Wrong::NoRole => "eve",
            _ => "bob",
        };
        let mut ticket = world.ticket(way, who, &approval).await;
        let mut origin = None;
        match wrong {
            Wrong::Forged => forge(&mut ticket),
            Wrong::Stale => replace(&mut ticket, &approval.digest, ZEROS),
            Wrong::Misdirected => {
                let other = world.asked("production/API").await;
                match &mut ticket {
                    Ticket::Form { path, .. } if way == Way::Link => {
                        *path = world.link(who, &other).await;
                    }
                    ticket => replace(ticket, &approval.id, &other.id),
                }
            }
            Wrong::Repeated => {
                let first = world.ticket(Way::Grpc, who, &approval).await;
                assert_eq!(world.sent(&first, None, false).await, "taken");
            }
            Wrong::Settled => {
                world.daemon.grpc("cat").deny(&approval, "no").await.unwrap();
            }
            Wrong::Expired => {
                world.daemon.clock.advance(minutes(30));
                if let Ticket::Form { browser, path, .. } = &ticket {
                    // So that their session lasts.
                    browser.get(path).await;
                }
                world.daemon.clock.advance(minutes(30));
            }
            Wrong::CrossSite => origin = Some("https://evil.example"),
            Wrong::Disabled => {
                let request = DisableUserRequest { name: who.to_owned(), reason: String::new() };
                world.daemon.admin().users().disable_user(request).await.unwrap();
            }
            Wrong::NotNamed | Wrong::OwnAsk | Wrong::NoRole => {}
        }
        if way == Way::Grpc && wrong == Wrong::CrossSite {
            return "no page reaches it".to_owned();
        }
        let votes = world.votes(&approval).await;
        let got = world.sent(&ticket, origin, wrong == Wrong::Forged).await;
        assert_eq!(world.votes(&approval).await, votes, "{way:?} {wrong:?}: {got}");
        got
    }

    async fn votes(&self, approval: &Approval) -> usize {
        self.daemon.admin().show(&approval.id).await.unwrap().votes.len()
    }
}

fn member(name: &str) -> String {
    format!("U0{}", name.to_uppercase())
}

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

/// Another character at the end of what proves who it is.
fn forge(ticket: &mut Ticket) {
    let spoil = |text: &mut String| {
        let last = text.pop().unwrap();
        text.push(if last == 'A' { 'B' } else { 'A' });
    };
    match ticket {
        Ticket::Grpc { token, .. } | Ticket::Api { token, .. } => spoil(token),
        Ticket::Form { path, browser, .. } => match &mut browser.cookie {
            Some(cookie) => spoil(cookie),
            None => spoil(path),
        },
        // Signed with another secret.
        Ticket::Slack { .. } => {}
    }
}

/// Puts something in another's place, wherever it stands.
fn replace(ticket: &mut Ticket, what: &str, with: &str) {
    let swap = |text: &mut String| *text = text.replace(what, with);
    match ticket {
        Ticket::Grpc { request, .. } => {
            swap(&mut request.id);
            swap(&mut request.digest);
        }
        Ticket::Form { path, fields, .. } => {
            swap(path);
            for (_, value) in fields {
                swap(value);
            }
        }
        Ticket::Slack { payload } => {
            *payload = serde_json::from_str(&payload.to_string().replace(what, with)).unwrap();
        }
        Ticket::Api { id, body, .. } => {
            swap(id);
            *body = serde_json::from_str(&body.to_string().replace(what, with)).unwrap();
        }
    }
}

#[tokio::test]
async fn what_should_not_count_does_not_and_gets_what_the_table_says() {
    let names = WAYS.map(|way| format!("{way:?}"));
    let mut table = row("", &names);
    for (wrong, named) in WRONGS {
        let mut cells = Vec::new();
        for way in WAYS {
            cells.push(World::cell(way, wrong).await);
        }
        table += &row(named, &cells);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/answers.table");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == table, "UPDATE=1 writes answers.table anew; it would be\n{table}");
}

fn row(first: &str, cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<23}")).collect();
    format!("{first:<42}{}", cells.concat()).trim_end().to_owned() + "\n"
}
