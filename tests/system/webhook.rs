//! Webhooks, received by somebody on loopback: what is sent, what becomes of each answer, and where
//! nothing is sent to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::Client;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;
use vouchsafe_core::id::MessageId;
use vouchsafe_core::route::{Again, Body, Event, Message, Receipt, Undelivered};
use vouchsafe_core::time::UnixTime;
use vouchsafe_tests::clock::TestClock;
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::hook::{Received, Receiver, Reply};
use vouchsafe_tests::mcp::send;
use vouchsafed::clock::Clock;
use vouchsafed::config::{Config, Environment, FILE_NAME};
use vouchsafed::notify::Channels;

/// Two secrets: the one that leaves, and the one that comes.
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

/// The channels of a home with this in its `vouchsafe.toml`, and these private files.
struct Built {
    channels: Channels,
    clock: Arc<TestClock>,
    home: TempDir,
}

fn build(settings: &str, files: &[(&str, &str)]) -> Result<Built, String> {
    // An error means that another test of this binary was first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let path = home.path().join(FILE_NAME);
    fs::write(&path, settings).unwrap();
    let config = Config::load(&path, &Environment::default()).map_err(|e| e.to_string())?;
    let clock = TestClock::new();
    let time: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
    let channels = Channels::build(&config.notify, &time).map_err(|e| e.to_string())?;
    Ok(Built { channels, clock, home })
}

/// A standard webhook to somebody on loopback, who is allowed there.
fn standard(url: &str, more: &str) -> String {
    format!(
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n[notify.webhook.siem]\nurl = \"{url}\"\n\
         secrets_file = \"secrets\"\n{more}"
    )
}

fn message() -> Message {
    Message {
        id: MessageId::from_random([3; 10]),
        event: Event::Alert,
        at: UnixTime::parse_rfc3339("2026-11-21T09:00:00Z").unwrap(),
        project: None,
        to: None,
        headline: "something happened".to_owned(),
        body: Body::Test { by: "ann".to_owned() },
        link: Some("https://v.example/inbox".to_owned()),
        replaces: Vec::new(),
    }
}

async fn deliver(built: &Built) -> Result<Receipt, Undelivered> {
    built.channels.deliver(&"webhook:siem".parse().unwrap(), &message()).await
}

/// Whether what was received is signed with this secret.
fn is_signed(received: &Received, secret: &str) -> bool {
    let key = BASE64.decode(secret.trim_start_matches("whsec_").as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, time) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let text = format!("{id}.{time}.{}", received.body);
    let signatures = received.header("webhook-signature").split(' ');
    signatures.filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        let tag = BASE64.decode(signature.as_bytes()).unwrap();
        hmac::verify(&key, text.as_bytes(), &tag).is_ok()
    })
}

#[tokio::test]
async fn each_try_is_signed_anew_and_known_by_its_id() {
    let receiver = Receiver::start().await;
    let settings = standard(&receiver.url("/hooks/s3cret?a=b"), "");
    let secrets = format!("# leaves soon\n{OLD}\n{NEW}\n");
    let built = build(&settings, &[("secrets", &secrets)]).unwrap();
    let said = deliver(&built).await.unwrap().said;
    assert_eq!(said, "127.0.0.1 took it (204 No Content)");
    built.clock.advance(Duration::from_secs(90));
    deliver(&built).await.unwrap();
    let seen = receiver.received(2).await;
    let times: Vec<i64> =
        seen.iter().map(|one| one.header("webhook-timestamp").parse().unwrap()).collect();
    assert_eq!(times[1] - times[0], 90);
    for received in &seen {
        assert_eq!(
            (received.method.as_str(), received.path.as_str()),
            ("POST", "/hooks/s3cret?a=b")
        );
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("webhook-id"), message().id.to_string());
        assert!(received.header("user-agent").starts_with("vouchsafe/"));
        assert!(is_signed(received, OLD) && is_signed(received, NEW), "{received:?}");
        assert!(!is_signed(received, &format!("whsec_{}", BASE64.encode(&[9; 32]))));
        let body = received.json();
        assert_eq!((&body["type"], &body["version"]), (&"test".into(), &1.into()));
        assert_eq!(body["id"], received.header("webhook-id"));
        assert_eq!(body["timestamp"], "2026-11-21T09:00:00.000Z");
    }
    assert_ne!(seen[0].header("webhook-signature"), seen[1].header("webhook-signature"));
}

#[tokio::test]
async fn what_is_answered_decides_whether_it_is_tried_again() {
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let url = receiver.url("/s3cret");
    let built = build(&standard(&url, ""), &[("secrets", OLD)]).unwrap();
    for reply in [Reply::Taken, Reply::Status(200), Reply::Status(202), Reply::DieInBody] {
        receiver.always(reply.clone());
        assert!(deliver(&built).await.is_ok(), "{reply:?}");
    }
    let after = |seconds| Some(Duration::from_secs(seconds));
    for (reply, again, said) in [
        (Reply::Redirect(elsewhere.url("/")), Again::Never, "redirects are not followed"),
        (Reply::Status(410), Again::Never, "wants no more messages"),
        (Reply::Status(404), Again::Message(None), "404"),
        (Reply::Status(422), Again::Message(None), "422"),
        (Reply::Status(429), Again::Channel(None), "429"),
        (Reply::RetryAfter(429, "7".into()), Again::Channel(after(7)), "429"),
        (Reply::RetryAfter(503, "86400".into()), Again::Channel(after(3_600)), "503"),
        (Reply::RetryAfter(429, "soon".into()), Again::Channel(None), "429"),
        (Reply::Status(500), Again::Channel(None), "500"),
        (Reply::Die, Again::Channel(None), "cannot be reached, or broke off"),
    ] {
        receiver.always(reply.clone());
        let failed = deliver(&built).await.unwrap_err();
        assert_eq!(failed.again, again, "{reply:?}: {failed:?}");
        assert!(failed.why.contains(said) && !failed.why.contains("s3cret"), "{failed:?}");
    }
    assert_eq!(elsewhere.seen(), []);
    receiver.always(Reply::Stall);
    let hasty = build(&standard(&url, "timeout = \"1s\"\n"), &[("secrets", OLD)]).unwrap();
    let failed = deliver(&hasty).await.unwrap_err();
    assert_eq!(failed.again, Again::Channel(None), "{failed:?}");
    assert!(failed.why.contains("did not answer within 1 s"), "{failed:?}");
    assert!(!failed.why.contains("s3cret"), "{failed:?}");
    drop(receiver);
    let failed = deliver(&built).await.unwrap_err();
    assert_eq!(failed.again, Again::Channel(None), "nobody is there: {failed:?}");
}

#[tokio::test]
async fn nothing_is_sent_into_a_private_network_that_is_not_listed() {
    let receiver = Receiver::start().await;
    let port = receiver.port();
    let private = "it is in a private range";
    for (host, said) in [
        (format!("https://127.0.0.1:{port}"), private),
        (format!("https://127.1:{port}"), private),
        (format!("https://2130706433:{port}"), private),
        (format!("https://0x7f000001:{port}"), private),
        (format!("https://0177.0.0.1:{port}"), private),
        (format!("https://[::1]:{port}"), private),
        (format!("https://[::ffff:127.0.0.1]:{port}"), private),
        (format!("https://0.0.0.0:{port}"), private),
        ("https://169.254.169.254".to_owned(), private),
        ("https://10.0.0.1".to_owned(), private),
        (format!("http://localhost:{port}"), "it is not https"),
        ("http://example.com".to_owned(), "it is not https"),
        (format!("https://x:y@localhost:{port}"), "a user or a password"),
    ] {
        let hosts = "[notify]\nprivate_hosts = [\"hooks.internal\", \"127.0.0.2\"]\n";
        let settings = format!(
            "{hosts}\n[notify.webhook.siem]\nurl = \"{host}/s3cret\"\nsecrets_file = \"secrets\"\n"
        );
        let problem = build(&settings, &[("secrets", OLD)]).err().unwrap();
        assert!(problem.starts_with("the channel webhook:siem: its url: "), "{problem}");
        assert!(problem.contains(said) && !problem.contains("s3cret"), "{host}: {problem}");
    }
    // What only a look-up tells.
    for hosts in ["", "127.0.0.1", "::1", "local", "a.localhost"] {
        let settings = format!(
            "[notify]\nprivate_hosts = [\"{hosts}\", \"x\"]\n\n[notify.webhook.siem]\n\
             url = \"https://localhost:{port}/\"\nsecrets_file = \"secrets\"\n"
        );
        let settings = settings.replace("\"\", ", "");
        let built = build(&settings, &[("secrets", OLD)]).unwrap();
        let failed = deliver(&built).await.unwrap_err();
        assert_eq!(failed.again, Again::Never, "{failed:?}");
        assert!(failed.why.contains("localhost leads to a private address"), "{failed:?}");
    }
    assert_eq!(receiver.seen(), []);
    let settings = standard(&format!("http://LOCALHOST:{port}/"), "");
    let settings = settings.replace("\"127.0.0.1\"", "\"localhost\"");
    let built = build(&settings, &[("secrets", OLD)]).unwrap();
    deliver(&built).await.unwrap();
    receiver.received(1).await;
}

#[tokio::test]
async fn what_is_set_up_wrongly_is_said_at_the_start_without_its_secrets() {
    let url = "https://hooks.example.com/s3cret";
    let bad = format!("whsec_{}", BASE64.encode(&[7; 20]));
    let apps = |template: &str, url: &str| {
        format!("[notify.webhook.siem]\nurl = \"{url}\"\ntemplate = \"{template}\"\n")
    };
    for (settings, files, said) in [
        (standard(url, ""), vec![("secrets", bad.as_str())], "line 1 is no secret"),
        (standard(url, ""), vec![("secrets", "")], "secrets_file"),
        (standard(url, ""), vec![], "secrets_file"),
        (
            standard(url, "").replace("url = ", "url_file = \"u\" # "),
            vec![("secrets", OLD), ("u", "ftp://s3cret")],
            "its url_file: it is no address of HTTP",
        ),
        (apps("ntfy", "https://ntfy.sh/a/b"), vec![], "its address has no topic"),
        (apps("ntfy", "https://ntfy.sh/"), vec![], "its address has no topic"),
    ] {
        let problem = build(&settings, &files).err().unwrap();
        assert!(problem.contains("webhook:siem") && problem.contains(said), "{problem}");
        assert!(!problem.contains("s3cret") && !problem.contains(&bad), "{problem}");
    }
    let built = build(&standard(url, ""), &[("secrets", OLD)]).unwrap();
    let path = built.home.path().join("secrets");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let config = Config::load(&built.home.path().join(FILE_NAME), &Environment::default()).unwrap();
    let clock: Arc<dyn Clock> = TestClock::new();
    let problem = Channels::build(&config.notify, &clock).unwrap_err().to_string();
    assert!(problem.contains("is not private") && problem.contains("mode 0600"), "{problem}");
}

#[tokio::test]
async fn each_app_is_sent_what_it_takes() {
    let receiver = Receiver::start().await;
    for (template, path, at) in [
        ("ntfy", "/alerts?auth=abc", "/?auth=abc"),
        ("teams", "/workflows/1", "/workflows/1"),
        ("discord", "/api/webhooks/1/x", "/api/webhooks/1/x"),
    ] {
        let settings = format!(
            "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n[notify.webhook.siem]\n\
             url_file = \"url\"\ntemplate = \"{template}\"\n"
        );
        let built = build(&settings, &[("url", &receiver.url(path))]).unwrap();
        deliver(&built).await.unwrap();
        let received = receiver.seen().pop().unwrap();
        assert_eq!((received.path.as_str(), received.header("webhook-signature")), (at, ""));
        let body = received.json();
        match template {
            "ntfy" => assert_eq!(body["topic"], "alerts"),
            "teams" => assert_eq!(body["attachments"][0]["content"]["type"], "AdaptiveCard"),
            _ => assert_eq!(body["embeds"][0]["url"], "https://v.example/inbox"),
        }
        assert!(received.body.contains("ann tries this channel"), "{}", received.body);
    }
}

/// A daemon whose one channel is a webhook to this receiver.
async fn daemon(receiver: &Receiver) -> TestDaemon {
    TestDaemon::builder()
        .block_for(Duration::ZERO)
        .settings(&standard(&receiver.url("/hooks/s3cret"), ""))
        .file("secrets", &format!("{OLD}\n{NEW}\n"))
        .start()
        .await
}

fn is(kind: &'static str) -> impl Fn(&Received) -> bool {
    move |received| received.kind() == kind
}

#[tokio::test]
async fn an_approval_goes_out_and_its_answer_comes_back() {
    let receiver = Receiver::start().await;
    let daemon = daemon(&receiver).await;
    let asked = daemon.agent("claude").read("production/DB").await;
    assert_eq!(asked.status(), "pending", "{asked:?}");
    let request = receiver.first("the request", is("approval.requested")).await;
    assert!(is_signed(&request, OLD) && is_signed(&request, NEW));
    let body = request.json();
    let data = &body["data"];
    assert_eq!(
        (&body["project"], &data["approval_id"]),
        (&"default".into(), &asked.approval().into())
    );
    let answer = &data["answer"];
    let shown = daemon.grpc("bob").show(&asked.approval()).await.unwrap();
    assert_eq!(
        (&answer["digest"], &answer["short_digest"]),
        (&shown.digest.into(), &shown.short_digest.into())
    );
    // Whoever received it answers with no more than that, and their own token.
    let http = Client::builder().no_proxy().build().unwrap();
    let vote = json!({ "decision": "approve", "digest": answer["digest"] });
    let post = http.post(answer["respond"].as_str().unwrap()).bearer_auth(daemon.token("bob"));
    let exchange = send(post.json(&vote)).await;
    assert_eq!(exchange.status, 200, "{}", exchange.body);
    let read = daemon.agent("claude").read("production/DB").await;
    assert_eq!(read.value(), value_of("production/DB"));
    let decided = receiver.first("the decision", is("approval.decided")).await.json();
    let outcome = decided["data"]["outcome"].as_str().unwrap();
    assert!(outcome.starts_with("Approved by bob at "), "{outcome}");
    assert_eq!(decided["data"]["answer"], Value::Null);
    receiver.first("the lease", is("lease.issued")).await;
    for received in receiver.seen() {
        assert!(!received.body.contains(&value_of("production/DB")), "{}", received.body);
    }
}

#[tokio::test]
async fn what_is_not_taken_comes_again_under_the_same_id() {
    let receiver = Receiver::start().await;
    let daemon = daemon(&receiver).await;
    receiver.next([Reply::Status(500), Reply::Die]);
    let asked = daemon.agent("claude").read("production/DB").await;
    // Time passes once a try is noted, and little of it: the ask is pending all the while.
    for attempts in 1..=2 {
        vouchsafe_tests::events::eventually("the try to be noted", || async {
            let shown = daemon.admin().show(&asked.approval()).await.unwrap().deliveries;
            shown.first().filter(|message| message.attempts == attempts).map(drop)
        })
        .await;
        daemon.advance(Duration::from_secs(60)).await;
    }
    let tries = receiver.received(3).await;
    assert!(tries.iter().all(is("approval.requested")), "{tries:?}");
    let ids: Vec<_> = tries.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(tries.iter().all(|one| one.body == tries[0].body && is_signed(one, NEW)));
    assert!(asked.approval().starts_with("ap_"));
}

#[tokio::test]
async fn what_is_given_up_is_in_the_log_without_the_address() {
    let receiver = Receiver::start().await;
    let daemon = daemon(&receiver).await;
    receiver.always(Reply::Status(410));
    daemon.agent("claude").read("production/DB").await;
    let failed = vouchsafe_tests::events::eventually("it is given up", || async {
        daemon.admin().log_of("message.failed").await.pop()
    })
    .await;
    let line = failed.to_string();
    assert!(line.contains("410") && !line.contains("s3cret"), "{line}");
}
