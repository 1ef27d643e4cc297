use super::*;
use crate::config::{Config, Environment, FILE_NAME};

/// What a file with this says of its one channel, or the problems with it.
fn read(text: &str) -> Result<Webhook, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, &Environment::default()).map_err(|error| {
        let folder = path.display().to_string();
        error.to_string().replace(&folder, "FILE")
    })?;
    Ok(config.notify.webhooks.into_iter().next().unwrap())
}

fn hook(more: &str) -> String {
    format!("[notify.webhook.siem]\n{more}")
}

#[test]
fn a_webhook_is_what_is_said_of_it_and_the_rest_is_usual() {
    let text = hook("url = \"https://example.com/x\"\nsecrets_file = \"s\"\n");
    let webhook = read(&text).unwrap();
    assert_eq!(webhook.name.as_str(), "webhook:siem");
    assert_eq!(webhook.url, WebhookUrl::Given("https://example.com/x".to_owned()));
    assert!(webhook.secrets_file.is_some_and(|path| path.is_absolute() && path.ends_with("s")));
    assert_eq!((webhook.template, webhook.events), (WebhookTemplate::Standard, Events::ALL));
    assert_eq!((webhook.timeout, webhook.at_once), (Duration::from_secs(10), 4));
    let text = hook(
        "url_file = \"/u\"\ntemplate = \"ntfy\"\nevents = [\"approval.*\"]\ntimeout = \"2m\"\n\
         at_once = 32\n",
    );
    let webhook = read(&text).unwrap();
    assert_eq!(webhook.url, WebhookUrl::File("/u".into()));
    assert_eq!((webhook.template, webhook.secrets_file), (WebhookTemplate::Ntfy, None));
    assert_eq!(webhook.events, Events::read(["approval.*"]).unwrap());
    assert_eq!((webhook.timeout, webhook.at_once), (Duration::from_mins(2), 32));
    for template in ["ntfy", "teams", "discord"] {
        let webhook = read(&hook(&format!("url = \"https://x.y\"\ntemplate = \"{template}\"\n")));
        assert_eq!(webhook.unwrap().events, Events::for_people(), "{template}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    let fits = "url = \"https://x.y\"\nsecrets_file = \"s\"\n";
    for (text, said) in [
        ("[notify.webhook.\"a b\"]\n".to_owned(), ":1: notify.webhook has the name `a b`; give it"),
        (hook("secrets_file = \"s\"\n"), ":1: notify.webhook.siem.url is missing; write where"),
        (hook("url = \"https://x.y\"\n"), ":1: notify.webhook.siem.secrets_file is missing; name"),
        (
            hook("url = \"https://x.y\"\nurl_file = \"u\"\nsecrets_file = \"s\"\n"),
            ":3: notify.webhook.siem has url and url_file; take one of them away",
        ),
        (
            hook("url = \"hooks.example.com/s3cret\"\nsecrets_file = \"s\"\n"),
            ":2: notify.webhook.siem.url is no address, or over 2048 bytes; write one such as",
        ),
        (
            hook("url = \"https://x.y\"\ntemplate = \"teams\"\nsecrets_file = \"s\"\n"),
            ":4: notify.webhook.siem.secrets_file means nothing where the template is teams; take",
        ),
        (hook("url = \"https://x.y\"\ntemplate = \"pager\"\n"), ":3: unknown variant `pager`"),
        (hook(&format!("{fits}events = []\n")), ":4: notify.webhook.siem.events names none; name"),
        (hook(&format!("{fits}events = [\"x\"]\n")), ":4: notify.webhook.siem.events: `x` is no"),
        (hook(&format!("{fits}timeout = \"3m\"\n")), ":4: notify.webhook.siem.timeout is not"),
        (hook(&format!("{fits}at_once = 33\n")), ":4: notify.webhook.siem.at_once is 33: 1 to 32"),
        (hook(&format!("{fits}retry = 3\n")), ":4: unknown field `retry`"),
    ] {
        let problem = read(&text).unwrap_err();
        assert!(problem.contains(said), "{problem}\nis to have\n{said}");
        assert!(!problem.contains("s3cret"), "{problem}");
    }
}
