use super::*;

/// A rule for a secret that `rest` completes; its first line is the file's fourth.
fn secret(rest: &str) -> String {
    format!("[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n{rest}\n")
}

fn tool(rest: &str) -> String {
    format!("[[rule]]\nname = \"A\"\nresource = \"vouchsafe://tools/a/*\"\n{rest}\n")
}

fn check(text: &str, expect: &[&str]) {
    let problems =
        parse(&[file(text)], &directory(), &Options::default()).err().unwrap_or_default();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expect, "{text}");
}

/// What follows two lines of approvers must be wrong at the line given, in the file.
fn check_asking(line: &str, expect: &str) {
    let text = secret(&format!("approvers = [\"bob\"]\n{line}"));
    check(&text, if expect.is_empty() { vec![] } else { vec![expect] }.as_slice());
}

const SECURITY: &str = "[[rule.factor]]\nfrom = [\"group:security\"]\n";
const ONCALL: &str = "[[rule.factor]]\nfrom = [\"group:oncall\"]\n";

#[test]
fn factors_take_people_who_are_there() {
    check(&secret(&format!("{SECURITY}{ONCALL}count = 1")), &[]);
    check(&secret("factor = [{ from = [\"bob\"] }, { from = [\"jane@example.com\"] }]"), &[]);
    for (rest, expect) in [
        (
            "factor = [{ from = [\"bob\"], cuont = 1 }]",
            "a.toml:4: `cuont` is not a key of a factor; a factor has from, count",
        ),
        (
            "factor = [{ count = 1 }]",
            "a.toml:4: this factor names nobody; write from = [\"group:security\"]",
        ),
        (
            "factor = [{ from = [\"eve\"] }]",
            "a.toml:4: there is no user `eve`; make the user with `vouchsafe users create`, or name \
             another",
        ),
        (
            "factor = [{ from = [\"bob\"], count = 0 }]",
            "a.toml:4: `factor.count` is 0; write a number from 1 to 100",
        ),
        (
            "factor = \"bob\"",
            "a.toml:4: `factor` must be a list of tables, and this is of type string; write \
             [[rule.factor]] with from = [\"group:security\"] and count = 1",
        ),
        (
            "factor = [1]",
            "a.toml:4: `factor` must be a table, and this is of type integer; write \
             [[rule.factor]] with from = [\"group:security\"] and count = 1",
        ),
        ("factor = []", "a.toml:4: 0 factors are not what a rule can have; write 1 to 10"),
    ] {
        check(&secret(rest), &[expect]);
    }
    check(
        &secret(&SECURITY.repeat(11)),
        &["a.toml:4: 11 factors are not what a rule can have; write 1 to 10"],
    );
}

#[test]
fn a_rule_says_in_one_form_whom_it_asks() {
    check(
        &secret(&format!("approvers = [\"bob\"]\nquorum = 1\n{ONCALL}")),
        &[
            "a.toml:4: `approvers` and factors both say whom to ask; write one or the other",
            "a.toml:5: `quorum` and factors both say whom to ask; write one or the other",
        ],
    );
    check(
        &secret(&format!("approval = \"none\"\n{ONCALL}")),
        &["a.toml:5: `factor` means nothing on a rule that asks nobody; remove it"],
    );
}

#[test]
fn one_person_cannot_be_needed_twice() {
    // Jane is all of security, and Bob and Jane are those on call who can approve.
    let twice = "[[rule.factor]]\nfrom = [\"jane@example.com\"]\n";
    for (factors, needed, places) in [
        (format!("{SECURITY}{SECURITY}"), 2, 1),
        (format!("{SECURITY}{twice}"), 2, 1),
        (format!("{SECURITY}{ONCALL}{ONCALL}"), 3, 2),
        (format!("{ONCALL}count = 3\n"), 3, 2),
    ] {
        let expect = format!(
            "a.toml:4: the factors take {needed} different people, and the users can fill only \
             {places} places; name more people, or lower a count"
        );
        check(&secret(&factors), &[&expect]);
    }
    check(&secret(&format!("{ONCALL}{SECURITY}")), &[]);
    check(&secret(&format!("approval = \"level\"\n{ONCALL}count = 2\n")), &[]);
}

#[test]
fn a_mode_is_one_of_two() {
    check_asking("mode = \"observe\"", "");
    check_asking("mode = \"enforce\"", "");
    check_asking(
        "mode = \"watch\"",
        "a.toml:5: `mode` is `watch`; write \"enforce\" or \"observe\"; without it, a rule is in \
         force",
    );
}

#[test]
fn a_reason_of_a_form_says_what_to_write() {
    check_asking(
        "require_reason = true\nreason_pattern = \"^INC-[0-9]+\"\nreason_hint = \"INC-1: why\"",
        "",
    );
    for (lines, expect) in [
        (
            "reason_pattern = \"^INC\"",
            "a.toml:5: `reason_pattern` does not say what to write instead; write reason_hint = \
             \"begin with the incident: INC-1234\"",
        ),
        (
            "reason_hint = \"INC-1\"",
            "a.toml:5: `reason_hint` is shown only where `reason_pattern` does not match; write \
             reason_pattern = \"^INC-[0-9]+\", or remove it",
        ),
        (
            "require_reason = true\nreason_pattern = \"INC-(\"\nreason_hint = \"x\"",
            "a.toml:6: `INC-(` is not a regular expression: unclosed group; write one such as \
             ^INC-[0-9]+",
        ),
        (
            "require_reason = true\nreason_pattern = \"x\"\nreason_hint = \"a\\u202eb\"",
            "a.toml:7: `a\\u{202e}b` cannot be a hint; write 1 to 200 visible characters",
        ),
        (
            "require_reason = true\nreason_pattern = \"x\"\nreason_hint = \"\"",
            "a.toml:7: `` cannot be a hint; write 1 to 200 visible characters",
        ),
    ] {
        check_asking(lines, expect);
    }
    check(
        &secret("approvers = [\"bob\"]\nreason_pattern = \"x\"\nreason_hint = \"y\""),
        &[
            "a.toml:5: `reason_pattern` means nothing on a rule that requires no reason; write \
             require_reason = true, or remove it",
            "a.toml:6: `reason_hint` means nothing on a rule that requires no reason; write \
             require_reason = true, or remove it",
        ],
    );
}

#[test]
fn kinds_of_reasons_are_words() {
    check_asking("reason_kinds = [\"incident\", \"on-call_2\"]", "");
    let many: Vec<_> = (0..21).map(|n| format!("\"k{n}\"")).collect();
    let many = format!("reason_kinds = [{}]", many.join(", "));
    let long = format!("reason_kinds = [\"{}\"]", "k".repeat(41));
    for (line, expect) in [
        ("reason_kinds = []", "a.toml:5: `reason_kinds` has 0 words; write 1 to 20, or remove it"),
        (many.as_str(), "a.toml:5: `reason_kinds` has 21 words; write 1 to 20, or remove it"),
        (
            "reason_kinds = [\"a\", \"a\"]",
            "a.toml:5: `reason_kinds` has `a` twice; write each once",
        ),
        (
            "reason_kinds = [\"On call\"]",
            "a.toml:5: `On call` cannot be a kind of reason; write 1 to 40 of a-z, 0-9, _ and -",
        ),
        (
            long.as_str(),
            &format!(
                "a.toml:5: `{}` cannot be a kind of reason; write 1 to 40 of a-z, 0-9, _ and -",
                "k".repeat(41)
            ),
        ),
        (
            "reason_kinds = \"incident\"",
            "a.toml:5: `reason_kinds` must be a list, and this is of type string; write \
             reason_kinds = [\"incident\", \"maintenance\"]",
        ),
    ] {
        check_asking(line, expect);
    }
}

#[test]
fn an_escalation_says_when_and_to_whom_while_the_ask_still_waits() {
    let to = "escalate_to = [\"group:security\"]";
    check_asking(&format!("{to}\nescalate_after = \"59m\""), "");
    for (lines, expect) in [
        (
            to.to_owned(),
            "a.toml:5: `escalate_to` does not say when; write escalate_after = \"30m\", or remove it",
        ),
        (
            "escalate_after = \"30m\"".to_owned(),
            "a.toml:5: `escalate_after` does not say who may answer then; write escalate_to = \
             [\"group:managers\"], or remove it",
        ),
        (
            "escalate_after = \"30m\"\nescalate_to = []".to_owned(),
            "a.toml:5: `escalate_after` does not say who may answer then; write escalate_to = \
             [\"group:managers\"], or remove it",
        ),
        (
            format!("{to}\nescalate_after = \"1h\""),
            "a.toml:6: `escalate_after` is 1h, and an ask waits only 1h; write a shorter time, or a \
             longer `pending_for`",
        ),
        (
            format!("{to}\nescalate_after = \"10m\"\npending_for = \"5m\""),
            "a.toml:6: `escalate_after` is 10m, and an ask waits only 5m; write a shorter time, or \
             a longer `pending_for`",
        ),
        (
            "escalate_after = \"30m\"\nescalate_to = [\"dora\"]".to_owned(),
            "a.toml:6: the user `dora` is neither an approver nor an admin; give the user the role \
             approver, or name another",
        ),
    ] {
        check_asking(&lines, expect);
    }
    check(
        &secret(&format!("approval = \"none\"\n{to}\nescalate_after = \"59m\"")),
        &[
            "a.toml:5: `escalate_to` means nothing on a rule that asks nobody; remove it",
            "a.toml:6: `escalate_after` means nothing on a rule that asks nobody; remove it",
        ],
    );
}

#[test]
fn reminders_come_while_the_ask_still_waits() {
    check_asking("remind_every = \"10m\"", "");
    for (line, expect) in [
        (
            "remind_every = \"59s\"",
            "a.toml:5: `remind_every` is 59s; write whole seconds from 1m to 30d",
        ),
        (
            "remind_every = \"2h\"",
            "a.toml:5: `remind_every` is 2h, and an ask waits only 1h; write a shorter time, or a \
             longer `pending_for`",
        ),
    ] {
        check_asking(line, expect);
    }
}

#[test]
fn what_a_call_is_bound_to_is_for_what_has_arguments() {
    check(&tool("approvers = [\"bob\"]\nbind = \"tool\"\nremember = true"), &[]);
    check(&tool("approvers = [\"bob\"]\nbind = \"arguments\""), &[]);
    check_asking("remember = true", "");
    check_asking(
        "bind = \"tool\"",
        "a.toml:5: `bind` means nothing on a rule for secrets, which have no arguments; remove it",
    );
    let remember = "`remember` cannot hold where an approval is good for one call with these \
                    arguments; write bind = \"tool\", or remove it";
    for (rest, expect) in [
        ("approvers = [\"bob\"]\nremember = true", format!("a.toml:5: {remember}")),
        (
            "approvers = [\"bob\"]\nbind = \"arguments\"\nremember = true",
            format!("a.toml:6: {remember}"),
        ),
        (
            "approvers = [\"bob\"]\nbind = \"all\"",
            "a.toml:5: `bind` is `all`; write \"arguments\" or \"tool\"".to_owned(),
        ),
    ] {
        check(&tool(rest), &[&expect]);
    }
}

#[test]
fn whoever_may_break_the_glass_can_sign_in() {
    // Dora is neither an approver nor an admin, and need not be.
    check_asking("break_glass = [\"group:readers\", \"dora\", \"bob\"]", "");
    for (line, expect) in [
        (
            "break_glass = []",
            "a.toml:5: `break_glass` names nobody; write break_glass = [\"group:oncall\"], or remove it",
        ),
        (
            "break_glass = [\"eve\"]",
            "a.toml:5: there is no user `eve`; name users who may sign in, or a group of such",
        ),
        (
            "break_glass = [\"carl\"]",
            "a.toml:5: the user `carl` is disabled; name users who may sign in, or a group of such",
        ),
        (
            "break_glass = [\"group:former\"]",
            "a.toml:5: the group `former` has no members who may sign in; name users who may sign \
             in, or a group of such",
        ),
        (
            "break_glass = [\"group:\"]",
            "a.toml:5: `group:` is not an approver; write a user's name, or group:NAME",
        ),
    ] {
        check_asking(line, expect);
    }
    let all = ["group:oncall".parse().unwrap()];
    let names: Vec<_> = named(&all, &directory()).into_iter().collect();
    assert_eq!(names, ["bob", "dora", "jane@example.com"]);
}
