use super::*;

/// What is wrong with conditions, the first of which is the file's seventh line.
fn check(conditions: &str, expect: &[&str]) {
    let text = format!(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\napprovers = [\"bob\"]\n\
         operations = [\"use\", \"read\"]\n[rule.auto_approve]\n{conditions}\n"
    );
    let problems =
        parse(&[file(&text)], &directory(), &Options::default()).err().unwrap_or_default();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expect, "{conditions}");
}

/// What is wrong with one condition on one line.
fn check_line(condition: &str, expect: &str) {
    check(condition, &[&format!("a.toml:7: {expect}")]);
}

#[test]
fn conditions_are_given_and_known() {
    check(
        "",
        &["a.toml:6: `auto_approve` has no condition, and would approve everything; write a \
           condition, or approval = \"none\" in the rule instead"],
    );
    check_line(
        "hours = \"9-17\"\nrequester = \"x\"",
        "`hours` is not a condition; there are time_window, days, schedule, requester, operations, \
         when",
    );
    let text = "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n\
                approvers = [\"bob\"]\nauto_approve = true\n";
    let problems = parse(&[file(text)], &directory(), &Options::default()).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "a.toml:5: `auto_approve` must be a table, and this is of type boolean; write \
         [rule.auto_approve] with requester = [\"ci-*\"]"
    );
}

#[test]
fn everything_wrong_with_conditions_is_told_at_once() {
    check(
        "time_window = \"9-17\"\ndays = \"Noday\"\nschedule = \"hourly\"\nrequester = \"a b\"\n\
         operations = [\"write\"]\nwhen = 'ask.x'",
        &[
            "a.toml:7: `9-17` are not two times of the day; write time_window = \
             \"09:00-17:00 America/Los_Angeles\"",
            "a.toml:8: `Noday` is not a day of the week; write days = \"Mon-Fri\", or \"Sat,Sun\"; \
             a time zone may follow",
            "a.toml:9: a schedule has five fields, and this has 1; write schedule = \
             \"* 9-17 * * Mon-Fri\": minute, hour, day of the month, month, day of the week",
            "a.toml:10: `a b` is no name of a key; write a key's name, or a part of one with * for \
             the rest: ci-*",
            "a.toml:11: the rule does not cover `write`, so that it never comes to this; write \
             some of use, read",
            "a.toml:12: `when` names `ask.x`; `ask` has reason, reason_kind, resource, operation, \
             arguments",
        ],
    );
}

#[test]
fn a_window_is_two_times_and_a_zone() {
    let mend = "write time_window = \"09:00-17:00 America/Los_Angeles\"";
    for (window, expect) in [
        ("", "`` is not a window"),
        ("09:00-17:00 UTC UTC", "`09:00-17:00 UTC UTC` is not a window"),
        ("09:00 - 17:00 UTC", "`09:00 - 17:00 UTC` is not a window"),
        ("09:00 UTC", "`09:00` are not two times of the day"),
        ("9:00-17:00 UTC", "`9:00-17:00` are not two times of the day"),
        ("09:00-17:60 UTC", "`09:00-17:60` are not two times of the day"),
        ("09:00-24:01 UTC", "`09:00-24:01` are not two times of the day"),
        ("24:00-09:00 UTC", "`24:00-09:00` are not two times of the day"),
        ("+9:00-17:00 UTC", "`+9:00-17:00` are not two times of the day"),
        ("09:00-17:00", "`09:00-17:00` does not say in which time zone"),
    ] {
        check_line(&format!("time_window = \"{window}\""), &format!("{expect}; {mend}"));
    }
    check_line(
        "time_window = \"09:00-09:00 UTC\"",
        "`09:00-09:00` ends when it begins; write a later end, or 00:00-24:00 for the whole day",
    );
    check_line(
        "time_window = 9",
        "`auto_approve.time_window` must be a text in quotes, and this is of type integer; write \
         time_window = \"09:00-17:00 America/Los_Angeles\"",
    );
}

#[test]
fn a_zone_is_one_place_or_one_offset() {
    for zone in [
        "America/Los_Angeles",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Etc/UTC",
        "UTC",
        "GMT",
        "Z",
        "+02:00",
        "-05:30",
        "+14:00",
    ] {
        check(&format!("time_window = \"09:00-17:00 {zone}\""), &[]);
    }
    for (zone, one, other) in [
        ("PST", "America/Los_Angeles", "Asia/Manila"),
        ("PDT", "America/Los_Angeles", "Asia/Manila"),
        ("EST", "America/New_York", "Australia/Brisbane"),
        ("EDT", "America/New_York", "Australia/Sydney"),
        ("CST", "America/Chicago", "Asia/Shanghai"),
        ("CDT", "America/Chicago", "America/Havana"),
        ("MST", "America/Denver", "America/Phoenix"),
        ("MDT", "America/Denver", "America/Edmonton"),
        ("IST", "Asia/Kolkata", "Asia/Jerusalem"),
        ("BST", "Europe/London", "Asia/Dhaka"),
        ("AST", "America/Halifax", "Asia/Riyadh"),
        ("SST", "Pacific/Pago_Pago", "Asia/Singapore"),
        ("GST", "Asia/Dubai", "Atlantic/South_Georgia"),
        ("ECT", "America/Guayaquil", "America/Barbados"),
    ] {
        let expect = format!("`{zone}` may be {one} or {other}: write one of them");
        let expect = expect.replace(": write", "; write");
        check_line(&format!("time_window = \"09:00-17:00 {zone}\""), &expect);
        check_line(&format!("days = \"Mon {zone}\""), &expect);
        check_line(&format!("schedule = \"* * * * * {zone}\""), &expect);
        // What is told to be written can be.
        for name in [one, other] {
            check(&format!("time_window = \"09:00-17:00 {name}\""), &[]);
        }
    }
    for zone in [
        "CET",
        "Pacific",
        "America/Nowhere",
        "+2:00",
        "+15:00",
        "+14:30",
        "02:00",
        "EST5EDT",
        "utc",
    ] {
        check_line(
            &format!("time_window = \"09:00-17:00 {zone}\""),
            &format!(
                "`{zone}` is not a time zone; write a name such as America/Los_Angeles, UTC, or an \
                 offset such as +02:00"
            ),
        );
    }
}

#[test]
fn days_are_days() {
    let mend = "write days = \"Mon-Fri\", or \"Sat,Sun\"; a time zone may follow";
    for (days, expect) in [
        ("\"\"", "`` is not a day of the week"),
        ("\"Monday\"", "`Monday` is not a day of the week"),
        ("\"Mon-\"", "`` is not a day of the week"),
        ("\"1-5\"", "`1` is not a day of the week"),
        ("\"Mon-Tue-Wed\"", "`Tue-Wed` is not a day of the week"),
        ("[\"Mon\", \"Tues\"]", "`Tues` is not a day of the week"),
        ("[]", "`` is not a day of the week"),
    ] {
        check_line(&format!("days = {days}"), &format!("{expect}; {mend}"));
    }
    check_line(
        "days = [\"Mon Europe/Berlin\"]",
        "`Mon Europe/Berlin` is more than days; to name a time zone, write days = \
         \"Mon,Wed-Fri Europe/Berlin\"",
    );
    check_line(
        "days = 1",
        "`auto_approve.days` must be a list, and this is of type integer; write days = [\"Mon\", \
         \"Wed-Fri\"]",
    );
}

#[test]
fn a_schedule_means_the_same_in_every_cron() {
    let mend = "write schedule = \"* 9-17 * * Mon-Fri\": minute, hour, day of the month, month, day \
                of the week";
    for (schedule, expect) in [
        ("* * * *", "a schedule has five fields, and this has 4"),
        ("0 * * * * Mon 2026", "a schedule has five fields, and this has 7"),
        ("@daily", "a schedule has five fields, and this has 1"),
        ("0 0 30 Feb *", "`0 0 30 Feb *` never comes"),
    ] {
        check_line(&format!("schedule = \"{schedule}\""), &format!("{expect}; {mend}"));
    }
    for weekday in ["1-5", "0", "7", "Mon#2", "*/2"] {
        check_line(
            &format!("schedule = \"* * * * {weekday}\""),
            &format!(
                "`{weekday}` counts the days of the week, which begins with another day in each \
                 cron; write their names: Mon-Fri"
            ),
        );
    }
    check_line(
        "schedule = \"* * 13 * Fri\"",
        "the schedule names days of the month and days of the week, and crons disagree on whether \
         both must match; write * for one of them, and use `days` or `when` besides",
    );
    for wrong in
        ["60 * * * *", "* 24 * * *", "* * 32 * *", "* * * 13 *", "* * * * Xyz", "a * * * *"]
    {
        let text = format!(
            "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\napprovers = [\"bob\"]\n\
             auto_approve = {{ schedule = \"{wrong}\" }}\n"
        );
        let problems = parse(&[file(&text)], &directory(), &Options::default()).unwrap_err();
        let told = problems[0].to_string();
        let start = format!("a.toml:5: `{wrong}` is not a schedule");
        assert!(told.starts_with(&start) && told.ends_with(mend), "{told}");
        assert!(!told.contains('\n') && !told.contains('⏎'), "{told}");
    }
    check(
        "schedule = \"six * * * * Mon\"",
        &[
            "a.toml:7: `Mon` is not a time zone; write a name such as America/Los_Angeles, UTC, or an \
           offset such as +02:00",
        ],
    );
}

#[test]
fn a_requester_is_a_key() {
    for name in ["", "a b", "a,b", "{a,b}", "[a]", "claude-desktop-in-the-office", "é"] {
        check_line(
            &format!("requester = [\"ci-*\", \"{name}\"]"),
            &format!(
                "`{name}` is no name of a key; write a key's name, or a part of one with * for the \
                 rest: ci-*"
            ),
        );
    }
    check_line(
        "requester = 1",
        "`auto_approve.requester` must be a text in quotes, and this is of type integer; write \
         requester = [\"claude-desktop\", \"ci-*\"]",
    );
}

#[test]
fn operations_are_among_the_rules() {
    check("operations = \"use\"", &[]);
    check_line(
        "operations = [\"use\", \"list\"]",
        "the rule does not cover `list`, so that it never comes to this; write some of use, read",
    );
    check_line(
        "operations = []",
        "`auto_approve.operations` is empty, so that it never holds; list some, or remove the line",
    );
    check_line(
        "operations = [\"see\"]",
        "`see` is not an operation; write list, use, read, write, delete or call",
    );
}

/// What is wrong with an expression.
fn check_when(when: &str, expect: &str) {
    check_line(&format!("when = '''{when}'''"), expect);
}

#[test]
fn an_expression_is_cel_and_true_or_false() {
    let mend =
        "write an expression that is true or false: when = 'ask.reason.startsWith(\"INC-\")'";
    for when in ["", "1 +", "ask.reason ==", "ask.reason = 1", "ask.?reason == 1", "if (x)"] {
        let text = format!(
            "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\napprovers = [\"bob\"]\n\
             auto_approve = {{ when = '''{when}''' }}\n"
        );
        let told = parse(&[file(&text)], &directory(), &Options::default()).unwrap_err();
        let told = told[0].to_string();
        assert!(told.starts_with("a.toml:5: `when` is not a CEL expression: "), "{told}");
        assert!(told.ends_with(mend) && !told.contains("ERROR"), "{told}");
    }
    let not_truth = "`when` gives something else than true or false; compare it with something, so \
                     that it is true or false";
    for when in [
        "1",
        "\"true\"",
        "ask",
        "now",
        "size(ask.reason)",
        "args.n + 1",
        "[true]",
        "{\"a\": true}",
        "args.list.map(x, true)",
        "true ? 1 : 2",
        "now.getHours()",
        "-1",
    ] {
        check_when(when, not_truth);
    }
}

#[test]
fn an_expression_names_what_there_is() {
    for (when, expect) in [
        ("reason == \"x\"", "`when` names `reason`; there are ask, key, args, now"),
        ("user.name == \"x\"", "`when` names `user`; there are ask, key, args, now"),
        ("args.list.all(x, y == 1)", "`when` names `y`; there are ask, key, args, now"),
        (
            "type(args) == map",
            "`when` calls `type`; there are all, bool, contains, double, duration, endsWith, exists, exists_one, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, getMinutes, getMonth, getSeconds, has, int, matches, size, startsWith, string, timestamp, uint, map, filter",
        ),
        ("key.scopes == 1", "`when` names `key.scopes`; `key` has name, owner, level"),
        (
            "has(ask.user)",
            "`when` names `ask.user`; `ask` has reason, reason_kind, resource, operation, arguments",
        ),
        (
            "ask.reason.matches(ask.resource)",
            "the pattern of `matches` is not a text in quotes; write ask.reason.matches(\"^INC-[0-9]+\")",
        ),
        (
            "ask.reason.matches()",
            "`matches` takes a text and a pattern; write ask.reason.matches(\"^INC-[0-9]+\")",
        ),
        (
            "matches(ask.reason, \"a\", \"b\")",
            "`matches` takes a text and a pattern; write ask.reason.matches(\"^INC-[0-9]+\")",
        ),
        (
            "ask.reason.matches(\"(\")",
            "`(` is not a pattern: unclosed group; write ask.reason.matches(\"^INC-[0-9]+\")",
        ),
        (
            "Point{x: 1} == 1",
            "`when` holds a message; write a comparison, or a call such as startsWith",
        ),
    ] {
        check_when(when, expect);
    }
    // A loop may call its element like a variable.
    check("when = 'args.list.all(ask, ask.x == 1)'", &[]);
}

#[test]
fn an_expression_is_bounded_before_it_is_parsed_or_walked() {
    check_when(
        &format!("ask.reason == \"{}\"", "x".repeat(2_000)),
        "`when` has 2016 bytes; write 2000 at most, or split the rule",
    );
    check_when(&"true ? true : ".repeat(30), "`when` has over 24 question marks; split the rule");
    let large = "`when` is too large; write less in it, or split the rule";
    check_when(&format!("{}true", "!-".repeat(900)), large);
    check_when(&format!("args{} == 1", "[0]".repeat(600)), large);
    check_when(&format!("args{} == 1", ".x".repeat(900)), large);
    check_when(&format!("1{} == 1", "+1".repeat(900)), large);
    check_when(&format!("true{}", "&&true".repeat(300)), large);
    check_when(&format!("args{} == 1", ".map(x,x)".repeat(60)), large);
    check_when(
        "args.a.all(x, x.all(y, y.all(z, z)))",
        "`when` has loops in loops in loops; write two in each other at most",
    );
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("size(", ")"),
        ("-(", ")"),
        ("!(", ")"),
        ("args[", "]"),
        ("args.all(x,", ")"),
    ] {
        for deep in [25, 100, 150] {
            let when = format!("{}1{} == 1", open.repeat(deep), close.repeat(deep));
            let text = format!(
                "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n\
                 approvers = [\"bob\"]\nauto_approve = {{ when = '''{when}''' }}\n"
            );
            let told = parse(&[file(&text)], &directory(), &Options::default());
            assert!(told.is_err() || open == "(", "{when}");
        }
    }
}
