//! What goes over the channel `email`, to a mail server that can be told what to do; and what a
//! kept parser reads in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mail_parser::{HeaderValue, Message as Parsed, MessageParser, MimeHeaders as _};
use tempfile::TempDir;
use vouchsafe_core::route::{Again, Body, ChannelName, Event, Message, Receipt, Undelivered};
use vouchsafe_proto::v1::Role;
use vouchsafe_tests::clock::TestClock;
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::messages::{TOKEN, all_kinds, approval, asks, decided, message};
use vouchsafe_tests::smtp::{CA, Mood, PASSWORD, SmtpServer, Step, Tls, USER};
use vouchsafed::clock::Clock;
use vouchsafed::config::{Config, Environment};
use vouchsafed::notify::{ChannelError, Channels};

/// The channel, and where it leads.
struct Office {
    server: SmtpServer,
    channels: Channels,
    _dir: TempDir,
}

impl Office {
    async fn open(tls: Tls, more: &str) -> Self {
        let server = SmtpServer::start(tls).await;
        let settings = server.settings(more);
        let (channels, dir) = channels(&settings);
        Self { server, channels: channels.unwrap(), _dir: dir }
    }

    async fn deliver(&self, message: &Message) -> Result<Receipt, Undelivered> {
        self.channels.deliver(&ChannelName::email(), message).await
    }
}

/// The channels of this configuration, in a home with a password and a certificate.
fn channels(settings: &str) -> (Result<Channels, ChannelError>, TempDir) {
    // An error means that another test of this binary was first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("ca.pem", CA), ("password", PASSWORD), ("vouchsafe.toml", settings)] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    (build(&dir), dir)
}

fn build(dir: &TempDir) -> Result<Channels, ChannelError> {
    let config = Config::load(&dir.path().join("vouchsafe.toml"), &Environment::default());
    let clock: Arc<dyn Clock> = TestClock::new();
    Channels::build(&config.unwrap().notify, &clock)
}

fn login() -> String {
    format!("username = \"{USER}\"\npassword_file = \"password\"")
}

fn parse(raw: &[u8]) -> Parsed<'_> {
    MessageParser::default().parse(raw).unwrap()
}

fn header(mail: &Parsed<'_>, name: &str) -> Option<String> {
    mail.header_raw(name).map(|value| value.trim().to_owned())
}

/// The visible text of a body: what stands in it as it is read.
fn both(mail: &Parsed<'_>) -> (String, String) {
    (mail.body_text(0).unwrap().into_owned(), mail.body_html(0).unwrap().into_owned())
}

#[tokio::test]
async fn mail_goes_through_tls_and_on_this_machine_without() {
    for tls in [Tls::Starttls, Tls::Implicit, Tls::None] {
        let office = Office::open(tls, &login()).await;
        let receipt = office.deliver(&asks(1)).await.unwrap();
        assert_eq!(receipt.said, "250 2.0.0 taken as 42", "{tls:?}");
        assert_eq!(receipt.handle, None);
        let taken = office.server.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].tls, taken[0].login), (tls != Tls::None, true), "{tls:?}");
        assert_eq!(
            (&*taken[0].from, &*taken[0].to),
            ("vouchsafe@broker.example", "ann@example.com")
        );
    }
}

#[tokio::test]
async fn one_connection_serves_many_mails_and_refused_ones_between_them() {
    let office = Office::open(Tls::Starttls, "connections = 1").await;
    office.server.refuse("ann@example.com", "550 5.1.1 nobody of that name");
    assert!(office.deliver(&asks(1)).await.is_err());
    office.server.mend();
    for number in 2..5 {
        office.deliver(&asks(number)).await.unwrap();
    }
    assert_eq!((office.server.taken().len(), office.server.connections()), (3, 1));
    // A server that went away meanwhile is connected to anew.
    office.server.down().await;
    office.server.up().await;
    office.deliver(&asks(5)).await.unwrap();
    assert_eq!(office.server.connections(), 2);
    // No more connections than there may be.
    let messages: Vec<_> = (6..12).map(asks).collect();
    let sent = join_all(messages.iter().map(|message| office.deliver(message))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!((office.server.taken().len(), office.server.connections()), (10, 2));
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Holds {
    /// This message is given up.
    Never,
    /// This message alone is tried again.
    Message,
    /// The channel waits.
    Channel,
}

fn holds(undelivered: &Undelivered) -> Holds {
    match undelivered.again {
        Again::Never => Holds::Never,
        Again::Message(_) => Holds::Message,
        Again::Channel(_) => Holds::Channel,
    }
}

#[tokio::test]
async fn a_refusal_holds_up_what_it_concerns() {
    let say = |text: &str| Mood::Say(text.to_owned());
    let table = [
        (Step::Connected, say("554 5.3.2 no service here"), Holds::Channel, "554 5.3.2"),
        (Step::Connected, Mood::Die, Holds::Channel, "broke off with its greeting"),
        (Step::Connected, say("nonsense"), Holds::Channel, "broke off with its greeting"),
        (Step::Ehlo, say("421 closing"), Holds::Channel, "421 closing"),
        (Step::Starttls, say("454 not now"), Holds::Channel, "refused TLS: 454 not now"),
        (
            Step::Auth,
            say(&format!("535 5.7.8 no {PASSWORD}")),
            Holds::Channel,
            "the login: 535 5.7.8",
        ),
        (Step::Auth, say("454 4.7.0 later"), Holds::Channel, "the login: 454 4.7.0"),
        (Step::Mail, say("550 5.1.8 bad sender"), Holds::Channel, "the sender: 550 5.1.8 bad"),
        (Step::Mail, say("451 4.3.0 busy"), Holds::Message, "451"),
        (Step::Rcpt, say("550 5.1.1 nobody"), Holds::Never, "the recipient: 550 5.1.1 nobody"),
        (Step::Rcpt, say("450 4.2.0 greylisted"), Holds::Message, "450"),
        (Step::Rcpt, say("421 4.3.2 going down"), Holds::Channel, "421"),
        (Step::Rcpt, say("530 5.7.0 log in first"), Holds::Channel, "530"),
        (Step::Rcpt, Mood::Die, Holds::Channel, "broke off to the recipient"),
        (Step::Data, say("554 no"), Holds::Never, "the message: 554 no"),
        (Step::Data, say("452 4.3.1 full"), Holds::Message, "452"),
        (Step::Content, say("554 5.7.1 spam"), Holds::Never, "the message: 554 5.7.1 spam"),
        (Step::Content, say("451 4.3.0 later"), Holds::Message, "451"),
        // Nobody knows whether it was taken.
        (Step::Content, Mood::Die, Holds::Message, "under the same Message-ID"),
        (Step::Content, Mood::TakeAndDie, Holds::Message, "under the same Message-ID"),
    ];
    for (step, mood, should, said) in table {
        let office = Office::open(Tls::Starttls, &login()).await;
        office.server.set(step, mood.clone());
        let undelivered = office.deliver(&asks(1)).await.unwrap_err();
        assert_eq!(holds(&undelivered), should, "{step:?} {mood:?}: {undelivered:?}");
        assert!(undelivered.why.contains(said), "{step:?} {mood:?}: {undelivered:?}");
        assert!(!undelivered.why.contains(PASSWORD), "{undelivered:?}");
        // What was mended goes on.
        office.server.mend();
        office.deliver(&asks(1)).await.unwrap();
        assert!(!office.server.taken().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_time_of_one_message() {
    let table = [
        (Step::Connected, Holds::Channel),
        (Step::Starttls, Holds::Channel),
        (Step::Auth, Holds::Channel),
        (Step::Rcpt, Holds::Channel),
        (Step::Content, Holds::Message),
    ];
    // What does answer is to have time for it beside the others, and on a busy machine.
    let settings = format!("timeout = \"6s\"\n{}", login());
    let offices = join_all(table.map(|_| Office::open(Tls::Starttls, &settings))).await;
    let stalled = offices.into_iter().zip(table).map(|(office, (step, should))| async move {
        office.server.set(step, Mood::Stall);
        let undelivered = office.deliver(&asks(1)).await.unwrap_err();
        assert_eq!(holds(&undelivered), should, "{step:?}: {undelivered:?}");
        assert!(undelivered.why.contains("in time"), "{step:?}: {undelivered:?}");
        office.server.mend();
        office.deliver(&asks(1)).await.unwrap();
    });
    join_all(stalled).await;
}

#[tokio::test]
async fn what_a_server_quotes_of_a_message_is_not_repeated() {
    let office = Office::open(Tls::Starttls, &login()).await;
    let words =
        format!("554 5.7.1 blocked\u{202e}: https://vault.example.com/link/{TOKEN}, 482-913");
    office.server.set(Step::Content, Mood::Say(words));
    let why = office.deliver(&asks(1)).await.unwrap_err().why;
    assert!(why.contains("blocked\\u{202e}: https://vault.example.com/link/***"), "{why}");
    assert!(!why.contains(TOKEN), "{why}");
    let code = &all_kinds()[3];
    let why = office.deliver(code).await.unwrap_err().why;
    assert!(why.contains("***") && !why.contains("482-913"), "{why}");
    office.server.set(Step::Content, Mood::Say(format!("250 {}{TOKEN}", "x".repeat(300))));
    let said = office.deliver(&asks(2)).await.unwrap().said;
    assert!(said.contains("(cut,") && !said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn nothing_is_sent_where_tls_is_not_as_it_should_be() {
    // The server has no STARTTLS: neither the login nor the mail leaves.
    let server = SmtpServer::start(Tls::None).await;
    let settings = server.settings(&login()).replace("\"none\"", "\"starttls\"");
    let (office, _home) = channels(&settings);
    let sent = office.unwrap().deliver(&ChannelName::email(), &asks(1)).await.unwrap_err();
    assert_eq!(holds(&sent), Holds::Channel);
    assert!(sent.why.contains("offers no STARTTLS"), "{sent:?}");
    assert!(server.taken().is_empty());

    // Its certificate is of nobody known, or it speaks no TLS at all.
    for tls in [Tls::Starttls, Tls::Implicit] {
        let server = SmtpServer::start(tls).await;
        let settings = server.settings(&login()).replace("ca_file = \"ca.pem\"", "");
        let (office, _home) = channels(&settings);
        let sent = office.unwrap().deliver(&ChannelName::email(), &asks(1)).await.unwrap_err();
        assert_eq!(holds(&sent), Holds::Channel);
        assert!(sent.why.contains("notify.email.ca_file"), "{sent:?}");
        assert!(server.taken().is_empty());
    }

    // Somebody on the way answers more than was asked, before TLS begins.
    let office = Office::open(Tls::Starttls, &login()).await;
    let more =
        "220 go ahead\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 ok\r\n250 taken";
    office.server.set(Step::Starttls, Mood::Say(more.to_owned()));
    let sent = office.deliver(&asks(1)).await.unwrap_err();
    assert_eq!(holds(&sent), Holds::Channel, "{sent:?}");
    assert!(office.server.taken().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_holds_the_channel_up() {
    let office = Office::open(Tls::Starttls, "").await;
    office.server.down().await;
    let sent = office.deliver(&asks(1)).await.unwrap_err();
    assert_eq!(holds(&sent), Holds::Channel);
    assert!(sent.why.contains("cannot be reached"), "{sent:?}");
    office.server.up().await;
    office.deliver(&asks(1)).await.unwrap();
}

#[test]
fn a_password_that_others_can_read_is_no_password() {
    let settings = "[notify.email]\nserver = \"localhost:25\"\nfrom = \"v@example.com\"\n\
                    username = \"v\"\npassword_file = \"open\"\n";
    let (office, dir) = channels(settings);
    let error = office.unwrap_err().to_string();
    assert!(error.starts_with("the channel email: notify.email.password_file"), "{error}");
    fs::write(dir.path().join("open"), "x").unwrap();
    fs::set_permissions(dir.path().join("open"), Permissions::from_mode(0o644)).unwrap();
    let error = build(&dir).unwrap_err().to_string();
    assert!(error.contains("group or others may use it") && error.contains("0600"), "{error}");
    let ca =
        settings.replace("username = \"v\"\npassword_file = \"open\"", "ca_file = \"password\"");
    fs::write(dir.path().join("vouchsafe.toml"), ca).unwrap();
    let error = build(&dir).unwrap_err().to_string();
    assert!(error.contains("holds no certificate in PEM"), "{error}");
}

#[tokio::test]
async fn every_kind_of_mail_is_well_formed_and_says_that_a_program_wrote_it() {
    let office = Office::open(Tls::None, "reply_to = \"On call <oncall@example.com>\"").await;
    for message in all_kinds() {
        office.deliver(&message).await.unwrap();
    }
    for (taken, message) in office.server.taken().iter().zip(all_kinds()) {
        let mail = parse(&taken.raw);
        assert_eq!(header(&mail, "From").unwrap(), "Vouchsafe <vouchsafe@broker.example>");
        assert_eq!(header(&mail, "To").unwrap(), "ann@example.com");
        assert_eq!(
            header(&mail, "Reply-To").unwrap(),
            "On call <oncall@example.com>".replace("On call", "\"On call\"")
        );
        assert_eq!(header(&mail, "Auto-Submitted").unwrap(), "auto-generated");
        assert_eq!(header(&mail, "X-Auto-Response-Suppress").unwrap(), "All");
        assert_eq!(header(&mail, "Date").unwrap(), "Sat, 21 Nov 2026 10:44:00 +0000");
        assert_eq!(mail.message_id().unwrap(), format!("{}@broker.example", message.id));
        for name in ["Bcc", "Cc", "List-Unsubscribe", "Sender"] {
            assert_eq!(header(&mail, name), None);
        }
        let of_list = matches!(message.body, Body::Facts { .. } | Body::Digest(_));
        let list = of_list.then(|| "Vouchsafe <vouchsafe.broker.example>".to_owned());
        assert_eq!(header(&mail, "List-Id"), list);
        // Text, then HTML, as alternatives, and nothing else.
        assert_eq!(mail.parts.len(), 3);
        assert_eq!(mail.content_type().unwrap().subtype(), Some("alternative"));
        assert_eq!(
            (mail.text_body.len(), mail.html_body.len(), mail.attachment_count()),
            (1, 1, 0)
        );
        let (text, html) = both(&mail);
        // No line of what was sent is longer than every server takes, and all of it is ASCII.
        assert!(taken.raw.is_ascii());
        assert!(taken.raw.split(|b| *b == b'\n').all(|line| line.len() < 200));
        // It reads without pictures, and nothing is fetched.
        for mark in ["<img", "<script", "<style", "<link", "src=", "url(", "@import", "<iframe"] {
            assert!(!html.to_lowercase().contains(mark), "{mark} in {html}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 78 || !line.trim().contains(' ')));
        assert!(text.contains(&message.id.to_string()) && html.contains(&message.id.to_string()));
    }
}

#[tokio::test]
async fn mails_of_one_approval_are_one_thread() {
    let office = Office::open(Tls::None, "").await;
    let mut reminder = asks(2);
    reminder.event = Event::ApprovalReminder;
    reminder.headline = format!("Still waiting: {}", reminder.headline);
    for message in [asks(1), reminder, decided(3)] {
        office.deliver(&message).await.unwrap();
    }
    let taken = office.server.taken();
    let topic = "claude asks to read vouchsafe://secrets/production/DATABASE_URL";
    let subjects = [topic.to_owned(), format!("Re: {topic}"), format!("Re: {topic}")];
    for (taken, subject) in taken.iter().zip(subjects) {
        let mail = parse(&taken.raw);
        assert_eq!(mail.subject(), Some(&*subject));
        let root = format!("{}.thread@broker.example", approval());
        for value in [mail.in_reply_to(), mail.references()] {
            assert_eq!(value, &HeaderValue::Text(root.clone().into()));
        }
    }
    assert!(both(&parse(&taken[2].raw)).0.starts_with("Approved: claude asks"));
    // What is delivered again is the same mail, to the byte.
    office.deliver(&asks(1)).await.unwrap();
    assert_eq!(office.server.taken()[3].raw, taken[0].raw);
}

#[tokio::test]
async fn both_forms_say_all_there_is_to_know_and_how_to_answer() {
    let office = Office::open(Tls::None, "").await;
    office.deliver(&asks(1)).await.unwrap();
    let taken = office.server.taken();
    let (text, html) = both(&parse(&taken[0].raw));
    let text = text.replace("\r\n", "\n");
    let page = format!("https://vault.example.com/approvals/{}", approval());
    let short = asks(1).answer().unwrap().digest.short();
    for said in [
        "claude asks to read vouchsafe://secrets/production/DATABASE_URL\n",
        "Who:\n  the agent with key claude, owned by ann, in project default\n",
        "Client (claimed, not checked):\n  > claims to be Claude; over http from 10.0.0.1\n",
        "Arguments (the agent's words):\n  > {\"query\":\"select 1\"}\n  [cut here: the page has all of it]",
        "Until:  2026-11-21 11:44:00 UTC\n",
        "This mail does not hold all of what is approved.",
        &format!("Digest: {short} "),
        &format!("\n  {page}\n"),
        &format!("\n  https://vault.example.com/link/{TOKEN}\n"),
        &format!("\n  vouchsafe approve {}\n", approval()),
        "An address in an agent's words is the agent's, not ours.",
        "\n-- \nYou are told of approval.requested in the project default.",
    ] {
        assert!(text.contains(said), "no {said:?} in:\n{text}");
    }
    for said in [
        "the agent with key claude",
        "Client (claimed, not checked)",
        "Reason (the agent&#39;s words)",
        "Cut here: the page has all of it.",
        "Until 2026-11-21 11:44:00 UTC",
        "This mail does not hold all of what is approved.",
        &format!(">{short}<"),
        &format!("<a href=\"{page}\""),
        &format!("<a href=\"https://vault.example.com/link/{TOKEN}\""),
        &format!("vouchsafe approve {}", approval()),
    ] {
        assert!(html.contains(said), "no {said:?} in:\n{html}");
    }
    // An attack is text: in the words of the agent, on no line of our own, with nothing hidden.
    for (form, said) in [
        (&text, "</div><script>"),
        (&html, "ok&#60;/div&#62;&#60;script&#62;alert(1)"),
        (&text, "\\u{202e}live\\u{200b}"),
        (&html, "\\u{202e}live\\u{200b}"),
        (&html, "&#38;lt;b&#38;gt;"),
        (&html, "{{ 7*7 }}"),
    ] {
        let form = form.replace("\n  > ", " ");
        assert!(form.contains(said), "no {said:?} in:\n{form}");
    }
    assert!(!text.lines().any(|line| line.starts_with("Bcc") || line.starts_with("--boundary")));
    assert!(!html.contains("href=\"https://evil"));
}

#[tokio::test]
async fn a_subject_is_one_line_of_what_is_shown() {
    let office = Office::open(Tls::None, "").await;
    let headlines = [
        ("a\r\nBcc: all@example.com", "a  Bcc: all@example.com".to_owned()),
        ("=?utf-8?q?=E2=80=AEx?= asks", "= ?utf-8?q?=E2=80=AEx?= asks".to_owned()),
        ("Zoë asks\u{0} to …", "Zoë asks  to …".to_owned()),
        (&"x".repeat(200), format!("{}…", "x".repeat(150))),
    ];
    for (number, (headline, subject)) in (1..).zip(headlines) {
        let body = Body::Facts { facts: Vec::new(), answer: None, approval: None, outcome: None };
        let message = message(number, Event::Alert, headline, body);
        office.deliver(&message).await.unwrap();
        let taken = office.server.taken();
        let mail = parse(&taken.last().unwrap().raw);
        assert_eq!(mail.subject(), Some(&*subject));
        assert_eq!((header(&mail, "Bcc"), header(&mail, "In-Reply-To")), (None, None));
    }
}

#[tokio::test]
async fn a_code_to_sign_in_is_in_the_mail_and_in_none_of_its_headers() {
    let office = Office::open(Tls::None, "").await;
    office.deliver(&all_kinds()[3]).await.unwrap();
    let taken = office.server.taken();
    let mail = parse(&taken[0].raw);
    assert_eq!(mail.subject(), Some("Your code to sign in to Vouchsafe"));
    let (text, html) = both(&mail);
    assert!(text.contains("\n  482-913") && html.contains(">482-913<"));
    let raw = String::from_utf8(taken[0].raw.clone()).unwrap();
    let headers = raw.split("\r\n\r\n").next().unwrap();
    assert!(!headers.contains("482-913"), "{headers}");
}

/// Rules, people and secrets for mail: the people's names are their addresses.
pub(crate) async fn mail_daemon(server: &SmtpServer, more: &str) -> TestDaemon {
    let rules = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approvers = ["ann@example.com", "bob@example.com"]
pending_for = "7d"
"#;
    let mut daemon = TestDaemon::builder()
        .empty()
        .block_for(Duration::ZERO)
        .settings(&server.settings(more))
        .file("ca.pem", CA)
        .file("password", PASSWORD)
        .start()
        .await;
    for name in ["ann@example.com", "bob@example.com", "eve@example.com"] {
        daemon.add_user(name, &[Role::Approver], &[]).await;
    }
    let loaded = daemon.load_rules(rules).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    daemon.add_key("claude", "eve@example.com", &["secrets:read", "secrets:reveal"]).await;
    daemon
}

#[tokio::test]
async fn an_ask_reaches_whoever_may_answer_and_so_does_what_came_of_it() {
    let server = SmtpServer::start(Tls::Starttls).await;
    let daemon = mail_daemon(&server, &login()).await;
    daemon.admin().put("production/DB", "the-value").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let taken = server.arrived(2).await;
    let mut to: Vec<_> = taken.iter().map(|mail| mail.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["ann@example.com", "bob@example.com"]);
    let shown = daemon.grpc("ann@example.com").show(&asked).await.unwrap();
    let topic = "claude asks to read vouchsafe://secrets/production/DB";
    for taken in &taken {
        let mail = parse(&taken.raw);
        assert_eq!(mail.subject(), Some(topic));
        let (text, _) = both(&mail);
        assert!(text.contains("> to run the nightly migration"), "{text}");
        assert!(text.contains(&format!("vouchsafe approve {asked}")), "{text}");
        assert!(text.contains(&format!("/approvals/{asked}")), "{text}");
        assert!(!text.contains("the-value"));
    }
    daemon.grpc("ann@example.com").approve(&shown).await.unwrap();
    let taken = server.arrived(3).await;
    for taken in &taken[2..] {
        let mail = parse(&taken.raw);
        assert_eq!(mail.subject().unwrap(), format!("Re: {topic}"));
        let root = format!("{asked}.thread@broker.example");
        assert_eq!(mail.references(), &HeaderValue::Text(root.into()));
        assert!(both(&mail).0.contains("Approved by ann@example.com"));
    }
}
