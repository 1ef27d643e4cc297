use super::*;
use crate::config::{Config, ConfigError, Environment, file};

fn parse(text: &str) -> Result<Config, ConfigError> {
    file::parse(Path::new("/home/vouchsafe.toml"), text, &Environment::default())
}

const LEAST: &str = "[notify.email]\nserver = \"smtp.example.com:587\"\nfrom = \"v@example.com\"\n";

#[test]
fn a_server_and_a_sender_are_enough() {
    let email = parse(LEAST).unwrap().notify.email.unwrap();
    assert_eq!(
        email,
        Email {
            host: "smtp.example.com".to_owned(),
            port: 587,
            tls: SmtpTls::Starttls,
            ca_file: None,
            login: None,
            from: "v@example.com".to_owned(),
            reply_to: None,
            events: Events::for_people(),
            one_time_links: false,
            connections: 4,
            timeout: Duration::from_secs(30),
        }
    );
}

#[test]
fn all_of_it_is_read_and_paths_begin_at_the_files_folder() {
    let email = parse(
        r#"
        [notify.email]
        server = "[::1]:465"
        tls = "implicit"
        ca_file = "mail/ca.pem"
        username = "vouchsafe"
        password_file = "mail/password"
        from = "Vouchsafe of Example <vouchsafe@example.com>"
        reply_to = "oncall@example.com"
        events = ["approval.*", "alert"]
        one_time_links = true
        connections = 32
        timeout = "5m"
        "#,
    );
    let email = email.unwrap().notify.email.unwrap();
    assert_eq!((email.host.as_str(), email.port, email.tls), ("::1", 465, SmtpTls::Implicit));
    assert_eq!(email.ca_file.as_deref(), Some(Path::new("/home/mail/ca.pem")));
    assert_eq!(email.login, Some(("vouchsafe".to_owned(), "/home/mail/password".into())));
    assert_eq!(email.reply_to.as_deref(), Some("oncall@example.com"));
    assert_eq!(email.events, Events::read(["approval.*", "alert"]).unwrap());
    assert!(email.one_time_links);
    assert_eq!((email.connections, email.timeout), (32, Duration::from_mins(5)));
}

#[test]
fn without_tls_only_this_machine_is_spoken_to() {
    let with = |server: &str| {
        parse(&format!(
            "[notify.email]\nserver = \"{server}\"\ntls = \"none\"\nfrom = \"v@example.com\"\n\
             username = \"v\"\npassword_file = \"p\"\n"
        ))
    };
    for here in ["127.0.0.1:25", "127.9.8.7:2525", "[::1]:25", "localhost:25", "LocalHost:25"] {
        assert!(with(here).is_ok(), "{here}");
    }
    let elsewhere = [
        "smtp.example.com:25",
        "192.168.0.1:25",
        "localhost.example.com:25",
        "[fe80::1]:25",
        "127.0.0.1.example.com:25",
        "0.0.0.0:25",
    ];
    for server in elsewhere {
        let error = with(server).unwrap_err().to_string();
        assert!(error.starts_with("/home/vouchsafe.toml:3: notify.email.tls is none"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    for (text, said) in [
        (
            "[notify.email]\nfrom = \"v@example.com\"\n",
            ":1: notify.email.server is missing, or too long; write the server's name and port, \
             such as \"smtp.example.com:587\"",
        ),
        (
            "[notify.email]\nserver = \"a:25\"\n",
            ":1: notify.email.from is missing, or too long; write who the messages are from, such \
             as \"Vouchsafe <vouchsafe@example.com>\"",
        ),
        (
            "[notify.email]\nserver = \"smtp.example.com\"\nfrom = \"v@example.com\"\n",
            ":2: notify.email.server is `smtp.example.com`, which is no name and port; write the \
             server's name and port, such as \"smtp.example.com:587\"",
        ),
        (
            "[notify.email]\nserver = \"a:25\"\nfrom = \"nobody\"\n",
            ":3: notify.email.from is `nobody`, which is no address of a sender; write an address, \
             or a plain name and an address in angle brackets",
        ),
        (
            &format!("{LEAST}reply_to = \"a@b\\r\\nBcc: c@d\"\n"),
            ":4: notify.email.reply_to is `a@b⏎Bcc: c@d`, which is no address of a sender; write \
             an address, or a plain name and an address in angle brackets",
        ),
        (
            &format!("{LEAST}username = \"v\"\n"),
            ":4: notify.email.username is there without notify.email.password_file; name the \
             private file that holds the password, or take the name away",
        ),
        (
            &format!("{LEAST}password_file = \"p\"\n"),
            ":4: notify.email.password_file is there without notify.email.username; write the \
             user name that goes with it, or take the file away",
        ),
        (
            &format!("{LEAST}events = [\"approval.stolen\"]\n"),
            ":4: notify.email.events: `approval.stolen` is no event; write events such as \
             \"approval.requested\", \"approval.*\" or \"*\"",
        ),
        (
            &format!("{LEAST}events = []\n"),
            ":4: notify.email.events is empty, so nothing would be sent; name some, or take it \
             away for what people need",
        ),
        (
            &format!("{LEAST}connections = 33\n"),
            ":4: notify.email.connections is 33: 1 to 32; correct it",
        ),
        (
            &format!("{LEAST}timeout = \"6m\"\n"),
            ":4: notify.email.timeout is not between 1s and 5m; correct it",
        ),
        (
            "[notify.email]\nserver = \"localhost:25\"\nfrom = \"v@example.com\"\ntls = \"none\"\n\
             ca_file = \"ca.pem\"\n",
            ":5: notify.email.ca_file means nothing where notify.email.tls is none; take it away, \
             or change tls",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("/home/vouchsafe.toml{said}"));
    }
    let error = parse(&format!("{LEAST}password = \"x\"\n")).unwrap_err().to_string();
    assert!(error.contains(":4: unknown field `password`"), "{error}");
}

#[test]
fn a_senders_name_is_only_a_name() {
    let name = |text: &str| mailbox(text).map(|(name, _)| name.map(str::to_owned));
    assert_eq!(name("v@example.com"), Some(None));
    assert_eq!(name("<v@example.com>"), Some(None));
    assert_eq!(name("Vouchsafe <v@example.com>"), Some(Some("Vouchsafe".to_owned())));
    assert_eq!(name("Bürgschaft 1.0 <v@example.com>"), Some(Some("Bürgschaft 1.0".to_owned())));
    for bad in [
        "",
        "Vouchsafe",
        "a <b> <v@example.com>",
        "a@b, c@d",
        "\"x\" <v@example.com>",
        "x\r\nBcc: y <v@example.com>",
        "=?utf-8?q?x?= <v@example.com>",
        "x\u{202e}y <v@example.com>",
    ] {
        assert_eq!(name(bad), None, "{bad}");
    }
}
