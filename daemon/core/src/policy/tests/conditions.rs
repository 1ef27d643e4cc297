use serde_json::{Value as Json, json};

use super::*;
use crate::key::{CallTraits, Level};
use crate::resource::{Operation, Resource};
use crate::text::Reason;
use crate::time::UnixTime;

/// The conditions of a rule for everything that can be done to secrets.
fn conditions(toml: &str) -> Conditions {
    let set = read(&format!(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/**\"\napprovers = [\"bob\"]\n\
         operations = [\"list\", \"use\", \"read\", \"write\", \"delete\"]\n\
         [rule.auto_approve]\n{toml}\n"
    ));
    match &set.rules()[0].rule {
        AnyRule::Allow(rule) => rule.auto_approve.clone().unwrap(),
        AnyRule::Deny(_) => panic!("it allows"),
    }
}

/// An ask about which a test says what matters to it.
struct Ask {
    key: &'static str,
    level: Level,
    resource: Resource,
    operation: Operation,
    reason: Option<Reason>,
    kind: Option<&'static str>,
    arguments: Json,
    at: &'static str,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            key: "claude-desktop",
            level: Level::Balanced,
            resource: "vouchsafe://secrets/a/B".parse().unwrap(),
            operation: Operation::Use,
            reason: Some(Reason::parse("INC-42: slow").unwrap()),
            kind: Some("incident"),
            arguments: json!({}),
            at: "2026-11-21T18:20:30Z",
        }
    }
}

impl Ask {
    fn judged(&self, conditions: &Conditions) -> Vec<Outcome> {
        conditions.judge(&Circumstances {
            key: self.key,
            owner: "jane@example.com",
            level: self.level,
            resource: &self.resource,
            operation: self.operation,
            call: CallTraits::UNKNOWN,
            reason: self.reason.as_ref(),
            reason_kind: self.kind,
            arguments: &self.arguments,
            now: UnixTime::parse_rfc3339(self.at).unwrap(),
        })
    }
}

/// One line for each outcome: whether it holds, and what was found or went wrong.
fn shown(outcomes: &[Outcome]) -> Vec<String> {
    let show = |it: &Outcome| match &it.error {
        Some(error) => {
            assert!(!it.holds, "what cannot be judged does not hold");
            format!("? {}: {error}", it.condition)
        }
        None if it.holds => format!("+ {}: {}", it.condition, it.found),
        None => format!("- {}: {}", it.condition, it.found),
    };
    outcomes.iter().map(show).collect()
}

/// Judges conditions at different times.
fn check_times(toml: &str, table: &[(&'static str, &[&str])]) {
    let conditions = conditions(toml);
    for (at, expect) in table {
        let ask = Ask { at, ..Ask::default() };
        assert_eq!(shown(&ask.judged(&conditions)), *expect, "{toml} at {at}");
    }
}

#[test]
fn a_window_has_its_start_and_not_its_end() {
    check_times(
        "time_window = \"09:00-17:00 America/Los_Angeles\"",
        &[
            ("2026-11-20T16:59:59.999Z", &["- time_window: Fri 08:59 in America/Los_Angeles"]),
            ("2026-11-20T17:00:00Z", &["+ time_window: Fri 09:00 in America/Los_Angeles"]),
            ("2026-11-21T00:59:59.999Z", &["+ time_window: Fri 16:59 in America/Los_Angeles"]),
            ("2026-11-21T01:00:00Z", &["- time_window: Fri 17:00 in America/Los_Angeles"]),
        ],
    );
    check_times(
        "time_window = \"00:00-24:00 -05:30\"",
        &[
            ("2026-11-20T05:29:59Z", &["+ time_window: Thu 23:59 in -05:30"]),
            ("2026-11-20T05:30:00Z", &["+ time_window: Fri 00:00 in -05:30"]),
        ],
    );
    for zone in ["UTC", "GMT", "Z", "+00:00"] {
        let window = conditions(&format!("time_window = \"18:20-18:21 {zone}\""));
        assert!(Ask::default().judged(&window)[0].holds, "{zone}");
    }
}

#[test]
fn a_window_may_go_past_midnight_and_its_day_is_the_one_on_which_it_began() {
    check_times(
        "time_window = \"22:00-06:00 Europe/Berlin\"\ndays = \"Fri\"",
        &[
            (
                "2026-11-20T20:59:59Z",
                &["- time_window: Fri 21:59 in Europe/Berlin", "+ days: Fri in Europe/Berlin"],
            ),
            (
                "2026-11-20T21:00:00Z",
                &["+ time_window: Fri 22:00 in Europe/Berlin", "+ days: Fri in Europe/Berlin"],
            ),
            (
                "2026-11-21T04:59:59Z",
                &[
                    "+ time_window: Sat 05:59 in Europe/Berlin",
                    "+ days: the window that began on Fri in Europe/Berlin",
                ],
            ),
            (
                "2026-11-21T05:00:00Z",
                &["- time_window: Sat 06:00 in Europe/Berlin", "- days: Sat in Europe/Berlin"],
            ),
            (
                "2026-11-20T04:00:00Z",
                &[
                    "+ time_window: Fri 05:00 in Europe/Berlin",
                    "- days: the window that began on Thu in Europe/Berlin",
                ],
            ),
        ],
    );
    // It began at 22:00 in Berlin on Friday, which was 06:00 on Saturday in Tokyo.
    check_times(
        "time_window = \"22:00-06:00 Europe/Berlin\"\ndays = \"Sat Asia/Tokyo\"",
        &[(
            "2026-11-21T04:00:00Z",
            &[
                "+ time_window: Sat 05:00 in Europe/Berlin",
                "+ days: the window that began on Sat in Asia/Tokyo",
            ],
        )],
    );
}

#[test]
fn where_the_clock_is_set_forward_what_it_skips_never_comes() {
    // New York, 2026-03-08: after 01:59 comes 03:00.
    check_times(
        "time_window = \"02:00-03:00 America/New_York\"",
        &[
            ("2026-03-08T06:59:59Z", &["- time_window: Sun 01:59 in America/New_York"]),
            ("2026-03-08T07:00:00Z", &["- time_window: Sun 03:00 in America/New_York"]),
            ("2026-03-09T06:00:00Z", &["+ time_window: Mon 02:00 in America/New_York"]),
        ],
    );
    check_times(
        "time_window = \"01:30-03:30 America/New_York\"",
        &[
            ("2026-03-08T06:30:00Z", &["+ time_window: Sun 01:30 in America/New_York"]),
            ("2026-03-08T07:00:00Z", &["+ time_window: Sun 03:00 in America/New_York"]),
            ("2026-03-08T07:30:00Z", &["- time_window: Sun 03:30 in America/New_York"]),
        ],
    );
    check_times(
        "schedule = \"* 2 * * * Europe/Berlin\"",
        &[
            ("2026-03-29T00:59:00Z", &["- schedule: Sun 2026-03-29 01:59 in Europe/Berlin"]),
            ("2026-03-29T01:00:00Z", &["- schedule: Sun 2026-03-29 03:00 in Europe/Berlin"]),
            ("2026-03-30T00:00:00Z", &["+ schedule: Mon 2026-03-30 02:00 in Europe/Berlin"]),
        ],
    );
    // The window began at a time that the clock skipped, and began all the same.
    check_times(
        "time_window = \"02:30-02:00 Europe/Berlin\"\ndays = \"Sun\"",
        &[(
            "2026-03-29T22:30:00Z",
            &[
                "+ time_window: Mon 00:30 in Europe/Berlin",
                "+ days: the window that began on Sun in Europe/Berlin",
            ],
        )],
    );
}

#[test]
fn where_the_clock_is_set_back_what_it_repeats_comes_twice() {
    // New York, 2026-11-01: 01:00 to 02:00 twice.
    check_times(
        "time_window = \"01:00-02:00 America/New_York\"",
        &[
            ("2026-11-01T04:59:59Z", &["- time_window: Sun 00:59 in America/New_York"]),
            ("2026-11-01T05:00:00Z", &["+ time_window: Sun 01:00 in America/New_York"]),
            ("2026-11-01T05:59:59Z", &["+ time_window: Sun 01:59 in America/New_York"]),
            ("2026-11-01T06:00:00Z", &["+ time_window: Sun 01:00 in America/New_York"]),
            ("2026-11-01T06:59:59Z", &["+ time_window: Sun 01:59 in America/New_York"]),
            ("2026-11-01T07:00:00Z", &["- time_window: Sun 02:00 in America/New_York"]),
        ],
    );
    // Lord Howe sets its clock by half an hour.
    check_times(
        "schedule = \"45 1 * * * Australia/Lord_Howe\"",
        &[
            ("2026-04-04T14:45:00Z", &["+ schedule: Sun 2026-04-05 01:45 in Australia/Lord_Howe"]),
            ("2026-04-04T15:15:59Z", &["+ schedule: Sun 2026-04-05 01:45 in Australia/Lord_Howe"]),
            ("2026-04-04T15:16:00Z", &["- schedule: Sun 2026-04-05 01:46 in Australia/Lord_Howe"]),
        ],
    );
}

#[test]
fn days_are_names_and_ranges_in_the_windows_zone_or_their_own() {
    let sat_in_utc = "2026-11-21T01:00:00Z";
    for (toml, expect) in [
        ("days = \"Mon-Fri\"", "- days: Sat in UTC"),
        ("days = \"Mon-Fri America/Los_Angeles\"", "+ days: Fri in America/Los_Angeles"),
        ("days = \"Sat,Sun\"", "+ days: Sat in UTC"),
        ("days = \"Mon, Wed-Fri -01:00\"", "- days: Sat in -01:00"),
        ("days = [\"Mon\", \"Fri-Sun\"]", "+ days: Sat in UTC"),
        ("days = \"fri-MON\"", "+ days: Sat in UTC"),
        ("days = [\"Sun\"]", "- days: Sat in UTC"),
    ] {
        check_times(toml, &[(sat_in_utc, &[expect])]);
    }
    check_times(
        "time_window = \"00:00-24:00 America/Los_Angeles\"\ndays = \"Fri\"\nschedule = \"* 17 * * *\"",
        &[(
            sat_in_utc,
            &[
                "+ time_window: Fri 17:00 in America/Los_Angeles",
                "+ days: Fri in America/Los_Angeles",
                "+ schedule: Fri 2026-11-20 17:00 in America/Los_Angeles",
            ],
        )],
    );
}

#[test]
fn a_schedule_is_of_minutes() {
    let at = "2026-11-21T18:20:59.999Z";
    for (schedule, holds) in [
        ("20 18 * * *", true),
        ("21 18 * * *", false),
        ("*/20 * * * *", true),
        ("*/15 * * * *", false),
        ("0-29 18 21 Nov *", true),
        ("* * * * Sat,Sun", true),
        ("* * * * Mon-Fri", false),
        ("* 9-17 * * *", false),
        ("* 19 * * * +01:00", true),
        ("* 18 20-25 11,12 *", true),
    ] {
        let conditions = conditions(&format!("schedule = \"{schedule}\""));
        let judged = Ask { at, ..Ask::default() }.judged(&conditions);
        assert_eq!(judged[0].holds, holds, "{schedule}: {judged:?}");
        assert_eq!(judged[0].wanted, schedule);
    }
}

#[test]
fn keys_and_operations_are_those_that_are_listed() {
    let keys = conditions("requester = [\"claude-desktop\", \"ci-*\"]");
    for (key, expect) in [
        ("claude-desktop", "+ requester: key `claude-desktop`"),
        ("ci-linux", "+ requester: key `ci-linux`"),
        ("ci", "- requester: key `ci`"),
        ("Claude-Desktop", "- requester: key `Claude-Desktop`"),
    ] {
        assert_eq!(shown(&Ask { key, ..Ask::default() }.judged(&keys)), [expect]);
    }
    let operations = conditions("operations = [\"use\", \"list\"]\nrequester = \"c*\"");
    let judged = Ask { operation: Operation::Read, ..Ask::default() }.judged(&operations);
    assert_eq!(shown(&judged), ["+ requester: key `claude-desktop`", "- operations: read"]);
    assert_eq!(judged[1].wanted, "list, use");
}

#[test]
fn conditions_read_back_from_what_an_approval_keeps() {
    let all = conditions(
        "time_window = \"09:00-19:00 UTC\"\ndays = [\"Sat\", \"Sun\"]\nschedule = \"* * * * *\"\n\
         requester = [\"c*\", \"x\"]\noperations = [\"use\"]\nwhen = 'key.level == \"balanced\"'",
    );
    let kept = serde_json::to_string(&all).unwrap();
    assert_eq!(
        kept,
        r#"{"time_window":"09:00-19:00 UTC","days":"Sat,Sun","schedule":"* * * * *","requester":"c*, x","operations":["use"],"when":"key.level == \"balanced\""}"#
    );
    let copy: Conditions = serde_json::from_str(&kept).unwrap();
    assert_eq!(copy, all);
    let judged = Ask::default().judged(&copy);
    assert_eq!(judged, Ask::default().judged(&all));
    assert!(judged.len() == 6 && judged.iter().all(|outcome| outcome.holds), "{judged:?}");
    assert_eq!(copy.written().len(), 6);
    // What another version wrote, and this one cannot read, does not hold.
    let other: Conditions = serde_json::from_str(r#"{"days":"Caturday","when":"1 +"}"#).unwrap();
    assert_eq!(
        shown(&Ask::default().judged(&other)),
        ["? days: this version cannot read it", "? when: this version cannot read it"]
    );
    // And nothing is no condition that holds.
    assert!(Ask::default().judged(&serde_json::from_str("{}").unwrap()).is_empty());
}

/// What an expression says of an ask.
fn check_when(when: &str, ask: &Ask, expect: &str) {
    let conditions = conditions(&format!("when = '''{when}'''"));
    assert_eq!(shown(&ask.judged(&conditions)), [expect], "{when}");
}

#[test]
fn an_expression_looks_at_the_ask_the_key_and_the_time() {
    let ask = Ask {
        arguments: json!({"n": 5, "tags": ["a", "b"], "who": {"x": true}}),
        ..Ask::default()
    };
    for when in [
        r#"ask.reason.startsWith("INC-")"#,
        r#"ask.reason == "INC-42: slow" && ask.reason_kind == "incident""#,
        r#"ask.resource == "vouchsafe://secrets/a/B""#,
        r#"ask.operation in ["use", "list"]"#,
        r#"ask.reason.matches("^INC-[0-9]+: ") && matches(ask.resource, "secrets/a")"#,
        r#"!ask.reason.matches("^CHG")"#,
        r#"key.name.startsWith("claude") && key.owner.endsWith("@example.com")"#,
        r#"key.level == "balanced""#,
        "args.n > 4 && args.n < 5.5 && args.n == ask.arguments.n",
        r#"size(args.tags) == 2 && args.tags.exists(t, t == "b")"#,
        "has(args.who) && args.who.x && !has(args.why)",
        r#"args.tags.map(t, t + "!") == ["a!", "b!"]"#,
        r#"args.tags.filter(t, t != "a")[0] == "b""#,
        "now.getHours() == 18 && now.getMinutes() == 20 && now.getDayOfWeek() == 6",
        r#"now.getHours("America/Los_Angeles") == 10"#,
        r#"now > timestamp("2026-11-21T00:00:00Z") && now - timestamp("2026-11-21T00:00:00Z") < duration("19h")"#,
        "args.n > 100 ? false : true",
        "true",
    ] {
        check_when(when, &ask, "+ when: true");
    }
    for when in ["false", "args.n == 6", r#""agent" in args"#, "key.name == key.owner"] {
        check_when(when, &ask, "- when: false");
    }
    let silent = Ask { reason: None, kind: None, ..Ask::default() };
    check_when(r#"ask.reason == "" && ask.reason_kind == """#, &silent, "+ when: true");
    let auto = Ask { level: Level::Auto, key: "ci-1", ..Ask::default() };
    check_when(r#"key.level == "auto" && key.name == "ci-1""#, &auto, "+ when: true");
}

#[test]
fn what_goes_wrong_does_not_hold_and_is_told_without_what_the_agent_wrote() {
    let secret = "sk-live-\u{202e}evil";
    let ask = Ask {
        arguments: json!({"text": secret, "n": 5, "list": [1]}),
        reason: Some(Reason::parse(secret).unwrap()),
        kind: None,
        ..Ask::default()
    };
    for (when, expect) in [
        ("args.title == \"x\"", "there is no `title`"),
        ("args[ask.reason] == 1", "there is no such key"),
        ("!args[ask.reason]", "there is no such key"),
        ("args.text", "it gives a value of type string"),
        ("args.text > 1", "`_>_` does not take values of these types: string, int"),
        ("!args.text", "`!_` does not take values of these types: string"),
        ("args.text + 1 == 2", "a value is of another type than is needed"),
        (
            "args.n.startsWith(\"x\")",
            "`startsWith` does not take values of these types: int, string",
        ),
        ("args.text.size(1) == 1", "`size` does not take values of these types: string, int"),
        ("int(args.text) == 1", "`int` cannot read its text"),
        ("timestamp(args.text) < now", "`timestamp` cannot read its text"),
        ("now.getHours(args.text) == 1", "`timezone` cannot read its text"),
        ("duration(args.text) == duration(\"1h\")", "`duration` cannot read its text"),
        ("args.list[7] == 1", "a list is shorter than that"),
        ("1 / (args.n - 5) == 1", "it divides by zero"),
        ("1 % (args.n - 5) == 1", "it divides by zero"),
        ("9223372036854775807 + args.n > 0", "a number is too large"),
        ("-9223372036854775808 / (args.n - 6) > 0", "a number is too large"),
        ("-(args.n - 9223372036854775807 - 7) > 0", "a number is too large"),
        ("args.text.exists(c, c == \"s\")", "a value is of another type than is needed"),
        ("{args.text: 1, args.text: 2}.size() == 1", "a map has a key twice"),
        ("{args.list: 1}.size() == 1", "a value is of another type than is needed"),
        ("args.list.all(x, x.y)", "`_._` does not take values of these types: int, string"),
        ("timestamp(253402300799) + duration(\"1h\") > now", "a number is too large"),
        (
            "duration(\"2562047h\") + duration(\"2562047h\") > duration(\"1s\")",
            "a number is too large",
        ),
    ] {
        let conditions = conditions(&format!("when = '''{when}'''"));
        let judged = ask.judged(&conditions);
        assert!(judged.iter().all(|it| !it.holds && it.found == "nothing"), "{judged:?}");
        assert!(!format!("{:?}", judged[0].error).contains("sk-live"), "{judged:?}");
        check_when(when, &ask, &format!("? when: {expect}"));
    }
}

#[test]
fn what_would_take_long_is_not_evaluated() {
    let list: Vec<_> = (0..300).collect();
    let many =
        Ask { arguments: json!({"list": list, "text": "x".repeat(2_000)}), ..Ask::default() };
    let doubled = format!("[args.text]{}.size() == 1", ".map(x, x + x)".repeat(40));
    let squared = format!("args.list{}.size() == 1", ".map(x, args.list)".repeat(2));
    let added = format!("size({}) > 0", ["args.text"; 10].join(" + "));
    for when in [
        "args.list.all(x, args.list.all(y, x + y >= 0))",
        "args.list.map(x, args.list.map(y, args.text)).size() == 1",
        doubled.as_str(),
        squared.as_str(),
    ] {
        check_when(when, &many, "? when: it is too large to judge");
    }
    for when in [
        "args.list.all(x, x >= 0)",
        "args.list.exists(x, args.text.size() == x) || true",
        "args.text.matches(\"x$\")",
        added.as_str(),
    ] {
        let judged = many.judged(&conditions(&format!("when = '''{when}'''")));
        assert_eq!(judged[0].error, None, "{when}");
    }
    // Arguments that are large by themselves are not even looked at, unless nobody looks.
    let large = Ask { arguments: json!({"text": "x".repeat(40_000)}), ..Ask::default() };
    check_when("has(args.text)", &large, "? when: it is too large to judge");
    check_when("has(ask.arguments.text)", &large, "? when: it is too large to judge");
    check_when("size(ask) == 5", &large, "? when: it is too large to judge");
    check_when("ask.operation == \"use\"", &large, "+ when: true");
}

#[test]
fn what_is_as_deep_as_it_may_be_is_evaluated() {
    let sums = format!("1{} == 45", "+1".repeat(44));
    let lists = format!("size({}1{}) == 1", "[".repeat(22), "]".repeat(22));
    let choices = format!("{}true", "key.level == \"auto\" ? false : ".repeat(24));
    let not = format!("{}true{}", "!(".repeat(22), ")".repeat(22));
    let fewer = format!("1{} == 35", "+1".repeat(34));
    let all = format!("[1].all(x, {fewer} && {lists} && [2].all(y, {not} && {fewer}))");
    for when in [&sums, &lists, &choices, &not, &all] {
        check_when(when, &Ask::default(), "+ when: true");
    }
}
