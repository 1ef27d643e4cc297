use std::path::Path;

use super::*;
use crate::config::{Config, Environment, FILE_NAME};

/// What a file with this as `[notify...]` says of its one channel, or the problems with it.
fn read(text: &str) -> Result<Slack, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, &Environment::default()).map_err(|error| {
        let folder = path.display().to_string();
        error.to_string().replace(&folder, "FILE")
    })?;
    Ok(config.notify.slack.into_iter().next().unwrap())
}

fn bot(more: &str) -> String {
    format!("[notify.slack.ops]\ntoken_file = \"t\"\nsigning_secret_file = \"/s\"\n{more}")
}

/// With a host that may be spoken with in the clear.
fn private(more: &str) -> String {
    format!("[notify]\nprivate_hosts = [\"127.0.0.1\", \"slack.test\"]\n{more}")
}

#[test]
fn a_bot_is_what_is_said_of_it_and_the_rest_is_usual() {
    let slack = read(&bot("channel = \"C1\"\n")).unwrap();
    assert_eq!(slack.name.as_str(), "slack:ops");
    assert_eq!(slack.events, Events::for_people());
    assert_eq!(slack.timeout, Duration::from_secs(10));
    let SlackWay::Bot { token_file, signing_secret_file, channel, team, api_base } = slack.way
    else {
        panic!("a bot")
    };
    assert!(token_file.is_absolute() && token_file.ends_with("t"));
    assert_eq!(signing_secret_file, Path::new("/s"));
    assert_eq!((channel.as_deref(), team), (Some("C1"), None));
    assert_eq!(api_base, "https://slack.com/api");
    let slack = read(&private(&bot(
        "direct = true\nteam = \"T1\"\napi_base = \"http://127.0.0.1:9/api/\"\n\
         events = [\"approval.*\"]\ntimeout = \"3s\"\n",
    )))
    .unwrap();
    assert_eq!(slack.timeout, Duration::from_secs(3));
    assert!(!slack.events.contains(vouchsafe_core::route::Event::Alert));
    let SlackWay::Bot { channel, team, api_base, .. } = slack.way else { panic!("a bot") };
    assert_eq!((channel, team.as_deref()), (None, Some("T1")));
    assert_eq!(api_base, "http://127.0.0.1:9/api");
}

#[test]
fn a_webhook_is_a_file_and_no_more() {
    let slack = read("[notify.slack.ops]\nwebhook_file = \"/w\"\n").unwrap();
    assert_eq!(slack.way, SlackWay::Webhook("/w".into()));
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    for (text, said) in [
        (
            "[notify.slack.\"a b\"]\nwebhook_file = \"w\"\n".to_owned(),
            ":1: notify.slack has the name `a b`; give it 1 to 40 letters, digits, - and _",
        ),
        (
            "[notify.slack.ops]\ntoken_file = \"t\"\nchannel = \"C1\"\n".to_owned(),
            ":1: notify.slack.ops.signing_secret_file is missing; give token_file and \
             signing_secret_file, or webhook_file alone",
        ),
        (
            "[notify.slack.ops]\nwebhook_file = \"w\"\nchannel = \"C1\"\n".to_owned(),
            ":3: notify.slack.ops.channel means nothing beside webhook_file; take one of them away",
        ),
        (
            bot(""),
            ":1: notify.slack.ops goes nowhere; give channel, or direct = true for a message to \
             each person",
        ),
        (
            bot("channel = \"C1\"\ndirect = true\n"),
            ":1: notify.slack.ops has channel and direct; give channel, or direct = true for a \
             message to each person",
        ),
        (
            bot("channel = \"#ops\"\n"),
            ":4: notify.slack.ops.channel is `#ops`, which is no id; write the id that Slack \
             shows, such as \"C024BE91L\"",
        ),
        (
            bot("channel = \"C1\"\nteam = \"acme\"\n"),
            ":5: notify.slack.ops.team is `acme`, which is no id; write the id that Slack shows, \
             such as \"T024BE7LD\"",
        ),
        (
            bot("channel = \"C1\"\napi_base = \"http://slack.com/api\"\n"),
            ":5: notify.slack.ops.api_base is `http://slack.com/api`; write an https address, or \
             take it away; http is for hosts that notify.private_hosts names",
        ),
        (
            bot("channel = \"C1\"\napi_base = \"https://me:secret@slack.com/api\"\n"),
            ":5: notify.slack.ops.api_base is an address with a login; write an https address, or \
             take it away; http is for hosts that notify.private_hosts names",
        ),
        (
            "[notify]\nprivate_hosts = [\"chat.internal\", \"::1\", \"10.0.0.0/8\"]\n".to_owned(),
            ":2: notify.private_hosts has `10.0.0.0/8`, which is no host; write names and \
             addresses, such as \"chat.internal\" or \"10.0.0.7\": each on its own, without a \
             scheme or a port",
        ),
        (
            bot("channel = \"C1\"\nevents = [\"tea\"]\n"),
            ":5: notify.slack.ops.events: `tea` is no event; name events such as \
             \"approval.requested\", \"approval.*\" or \"*\"",
        ),
        (
            bot("channel = \"C1\"\nevents = []\n"),
            ":5: notify.slack.ops.events names none; name events such as \
             \"approval.requested\", \"approval.*\" or \"*\"",
        ),
        (
            bot("channel = \"C1\"\ntimeout = \"1h\"\n"),
            ":5: notify.slack.ops.timeout is not between 1s and 2m; correct it",
        ),
    ] {
        assert_eq!(read(&text).unwrap_err(), format!("FILE{said}"), "{text}");
    }
    let own = bot("channel = \"C1\"\napi_base = \"http://slack.test/api\"\n");
    assert!(read(&private(&own)).is_ok());
}
