//! Which channels a rule names.

use super::super::write::{self, Anew};
use super::*;

/// A rule whose fifth line is this one.
fn rule_with(line: &str) -> String {
    format!(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\napprovers = [\"bob\"]\n\
         {line}\n"
    )
}

/// Where these channels are set up; none: where nobody knows which are.
fn options(channels: Option<&[&str]>) -> Options {
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Options { channels: channels.map(named), ..Options::default() }
}

fn check(channels: Option<&[&str]>, line: &str, expect: &[&str]) {
    let problems = parse(&[file(&rule_with(line))], &directory(), &options(channels));
    let shown: Vec<_> =
        problems.err().unwrap_or_default().iter().map(ToString::to_string).collect();
    let expect: Vec<_> = expect.iter().map(|expect| format!("a.toml:5: {expect}")).collect();
    assert_eq!(shown, expect, "{line}");
}

fn named(line: &str) -> Vec<String> {
    let set = read(&rule_with(line));
    let AnyRule::Allow(rule) = &set.rules().first().unwrap().rule else { panic!("it allows") };
    rule.notify.iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_names_channels_each_once_or_none() {
    assert!(named("").is_empty());
    let line = "notify = [\"slack:security\", \"email\", \"slack:security\"]";
    assert_eq!(named(line), ["email", "slack:security"]);
}

#[test]
fn what_is_no_channels_name_is_refused() {
    let names = "write email, slack:NAME or webhook:NAME";
    for (line, expect) in [
        ("notify = [\"pager:ops\"]", format!("`pager:ops` is no channel's name; {names}")),
        ("notify = [\"slack\"]", format!("`slack` is no channel's name; {names}")),
        ("notify = [\"slack:a b\"]", format!("`slack:a b` is no channel's name; {names}")),
        (
            "notify = [\"a\\u202eb\"]",
            format!("`a\\u{{202e}}b` is no channel's name; {names}"),
        ),
        (
            "notify = []",
            "`notify` names no channel, so nobody would hear of an ask; name one, or remove the line"
                .to_owned(),
        ),
        (
            "notify = \"email\"",
            "`notify` must be a list, and this is of type string; write notify = \
             [\"slack:security\", \"email\"]"
                .to_owned(),
        ),
        (
            "notify = [1]",
            "`notify` must be a text in quotes, and this is of type integer; write notify = \
             [\"slack:security\", \"email\"]"
                .to_owned(),
        ),
    ] {
        check(None, line, &[&expect]);
    }
    let many: Vec<_> = (0..51).map(|number| format!("\"slack:s{number}\"")).collect();
    let line = format!("notify = [{}]", many.join(", "));
    check(None, &line, &["51 channels are too many; name fewer"]);
}

#[test]
fn each_channel_has_to_be_there() {
    let line = "notify = [\"slack:security\", \"email\"]";
    check(Some(&["email", "slack:security"]), line, &[]);
    check(
        Some(&["email", "webhook:siem"]),
        line,
        &[
            "there is no channel `slack:security`; there are email, webhook:siem; channels are set up \
           in vouchsafe.toml",
        ],
    );
    check(
        Some(&[]),
        "notify = [\"email\"]",
        &["there is no channel `email`; set it up under [notify] in vouchsafe.toml, or remove it"],
    );
}

#[test]
fn a_rule_that_asks_nobody_tells_nobody() {
    for asks_nobody in ["approval = \"none\"", "effect = \"deny\""] {
        let text = format!(
            "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n{asks_nobody}\n\
             notify = [\"email\"]\n"
        );
        let problems = parse(&[file(&text)], &directory(), &Options::default()).unwrap_err();
        let told = problems[0].to_string();
        assert!(told.starts_with("a.toml:5: `notify`"), "{told}");
    }
}

#[test]
fn the_channels_of_a_rule_are_written_as_they_are_read() {
    let set = read(&rule_with("notify = [\"webhook:siem\", \"email\"]"));
    let AnyRule::Allow(given) = &set.rules().first().unwrap().rule else { panic!("it allows") };
    let anew = Anew { name: "B", resource: "vouchsafe://secrets/b/*", approves: None };
    let written = write::rule(given, &anew, &Options::default());
    assert!(written.contains("notify = [\"email\", \"webhook:siem\"]"), "{written}");
    let again = read(&written);
    let AnyRule::Allow(again) = &again.rules().first().unwrap().rule else { panic!("it allows") };
    assert_eq!(again.notify, given.notify);
}

#[test]
fn other_channels_are_another_set_of_rules() {
    let digest = |line: &str| read(&rule_with(line)).digest().to_string();
    assert_ne!(digest("notify = [\"email\"]"), digest(""));
    assert_ne!(digest("notify = [\"email\"]"), digest("notify = [\"slack:ops\"]"));
    assert_eq!(
        digest("notify = [\"email\", \"slack:ops\"]"),
        digest("notify = [\"slack:ops\", \"email\"]")
    );
}
