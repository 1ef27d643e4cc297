use super::*;

/// A rule without mistakes but for `line`, which is its fourth and the file's fifth.
fn rule_with(line: &str) -> String {
    format!(
        "\n[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n{line}\n\
         approvers = [\"bob\"]\n"
    )
}

fn check(text: &str, expect: &[&str]) {
    let problems =
        parse(&[file(text)], &directory(), &Options::default()).err().unwrap_or_default();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expect, "{text}");
}

#[test]
fn keys_nobody_knows_are_refused() {
    let keys = "a rule has name, resource, operations, effect, approval, mode, approvers, quorum, \
                factor, self_approval, auto_approve, require_reason, min_reason_length, \
                reason_pattern, reason_hint, reason_kinds, lease, pending_for, escalate_after, \
                escalate_to, remind_every, remember, bind, follow_rotation, break_glass, notify";
    check(
        &rule_with("aproval = 1"),
        &[&format!("a.toml:5: `aproval` is not a key of a rule; {keys}")],
    );
    check(
        &rule_with("\"a\\u202eb\" = 1"),
        &[&format!("a.toml:5: `a\\u{{202e}}b` is not a key of a rule; {keys}")],
    );
    check(
        &rule_with("lease = { defualt = \"1m\" }"),
        &["a.toml:5: `defualt` is not a key of a lease; a lease has default, max, uses"],
    );
    check(
        "x = 1\n",
        &["a.toml:1: `x` is not expected here; a file holds [[rule]] tables and nothing else"],
    );
    check(
        "[rule]\nname = \"A\"\n",
        &[
            "a.toml:1: `rule` is not a list of tables; a file holds [[rule]] tables and nothing else",
        ],
    );
    check("rule = [1]", &["a.toml:1: this rule is not a table; write it as a table: [[rule]]"]);
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    check(
        "[[rule]]\nname = \n",
        &["a.toml:2: this is not TOML: string values must be quoted, expected literal string; \
           correct the line; https://toml.io describes the format"],
    );
    check(
        &rule_with("quorum = 1\nquorum = 2"),
        &[
            "a.toml:6: this is not TOML: duplicate key; correct the line; https://toml.io describes \
           the format",
        ],
    );
}

#[test]
fn a_rule_has_a_name_and_a_resource() {
    check(
        "[[rule]]\napproval = \"none\"\n",
        &[
            "a.toml:1: this rule has no `name`; write name = \"Production secrets\"",
            "a.toml:1: this rule has no `resource`; write resource = \
             \"vouchsafe://secrets/production/*\"",
        ],
    );
    check(
        "[[rule]]\nname = \"\"\napproval = \"none\"\nresource = \"vouchsafe://secrets/pro*\"\n",
        &[
            "a.toml:2: `` cannot be a rule's name; write 1 to 80 visible characters",
            "a.toml:4: `vouchsafe://secrets/pro*` is not a pattern: `pro*` mixes a wildcard with \
             other characters; `*` stands for one whole part between two /, `**` for any number of \
             parts, and there are no other wildcards; write a resource such as \
             vouchsafe://secrets/production/*",
        ],
    );
    let long = "n".repeat(81);
    check(
        &format!(
            "[[rule]]\nname = \"{long}\"\napproval = \"none\"\nresource = \"vouchsafe://audit\""
        ),
        &[&format!("a.toml:2: `{long}` cannot be a rule's name; write 1 to 80 visible characters")],
    );
}

#[test]
fn values_of_another_type_are_refused() {
    for (line, expect) in [
        (
            "quorum = \"1\"",
            "`quorum` must be a whole number, and this is of type string; write quorum = 1",
        ),
        (
            "self_approval = 1",
            "`self_approval` must be true or false, and this is of type integer; write self_approval = true",
        ),
        (
            "operations = \"read\"",
            "`operations` must be a list, and this is of type string; write operations = [\"list\", \"use\", \"read\"]",
        ),
        (
            "operations = [1]",
            "`operations` must be a text in quotes, and this is of type integer; write operations = [\"read\"]",
        ),
        (
            "lease = \"1h\"",
            "`lease` must be a table, and this is of type string; write lease = { default = \"15m\", max = \"1h\", uses = 20 }",
        ),
        (
            "lease = { default = 15 }",
            "`lease.default` must be a text in quotes, and this is of type integer; write lease.default = \"15m\"",
        ),
        (
            "pending_for = 3600",
            "`pending_for` must be a text in quotes, and this is of type integer; write pending_for = \"15m\"",
        ),
        (
            "effect = true",
            "`effect` must be a text in quotes, and this is of type boolean; write effect = \"deny\"",
        ),
        (
            "effect = \"block\"",
            "`effect` is `block`; write \"allow\" or \"deny\"; without it, a rule allows",
        ),
        (
            "approval = \"maybe\"",
            "`approval` is `maybe`; write \"required\", \"level\" or \"none\"",
        ),
    ] {
        check(&rule_with(line), &[&format!("a.toml:5: {expect}")]);
    }
}

#[test]
fn operations_must_be_those_of_the_resource() {
    for (line, expect) in [
        (
            "operations = []",
            "`operations` is empty, so the rule can never match; list the operations it is for, or remove the line",
        ),
        (
            "operations = [\"see\"]",
            "`see` is not an operation; write list, use, read, write, delete or call",
        ),
        (
            "operations = [\"call\"]",
            "`call` is not something that can be done to secrets; secrets have list, use, read, write, delete",
        ),
    ] {
        check(&rule_with(line), &[&format!("a.toml:5: {expect}")]);
    }
    check(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://tools/x/*\"\napproval = \"none\"\n\
         operations = [\n  \"list\",\n  \"read\",\n]\n",
        &["a.toml:7: `read` is not something that can be done to tools; tools have list, call"],
    );
    check(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://audit\"\napproval = \"none\"\n\
         operations = [\"list\"]\n",
        &["a.toml:5: `list` is not something that can be done to audit; the log has read"],
    );
}

/// A rule with these approvers on its fourth line.
fn check_approvers(rest: &str, expect: &str) {
    let text = format!("[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a/*\"\n{rest}\n");
    check(&text, if expect.is_empty() { vec![] } else { vec![expect] }.as_slice());
}

#[test]
fn approvers_must_be_there_and_able() {
    check_approvers("approvers = [\"jane@example.com\", \"group:oncall\"]", "");
    for (rest, expect) in [
        (
            "",
            "a.toml:1: this rule asks for approval and names nobody to give it; write approvers = [\"group:oncall\", \"jane@example.com\"]",
        ),
        (
            "approvers = []",
            "a.toml:4: this rule asks for approval and names nobody to give it; write approvers = [\"group:oncall\", \"jane@example.com\"]",
        ),
        (
            "approvers = [\"eve\"]",
            "a.toml:4: there is no user `eve`; make the user with `vouchsafe users create`, or name another",
        ),
        (
            "approvers = [\"Bob\"]",
            "a.toml:4: there is no user `Bob`; make the user with `vouchsafe users create`, or name another",
        ),
        (
            "approvers = [\"carl\"]",
            "a.toml:4: the user `carl` is disabled; enable the user, or name another",
        ),
        (
            "approvers = [\"dora\"]",
            "a.toml:4: the user `dora` is neither an approver nor an admin; give the user the role approver, or name another",
        ),
        (
            "approvers = [\"group:none\"]",
            "a.toml:4: the group `none` has no members; put an enabled user with the role approver into it, or name another",
        ),
        (
            "approvers = [\"group:former\"]",
            "a.toml:4: nobody in the group `former` can approve; put an enabled user with the role approver into it, or name another",
        ),
        (
            "approvers = [\"group:readers\"]",
            "a.toml:4: nobody in the group `readers` can approve; put an enabled user with the role approver into it, or name another",
        ),
        (
            "approvers = [\n\"bob\",\n\"team:x\"]",
            "a.toml:6: `team:x` is not an approver; write a user's name, or group:NAME",
        ),
        (
            "approvers = [\"group:\"]",
            "a.toml:4: `group:` is not an approver; write a user's name, or group:NAME",
        ),
    ] {
        check_approvers(rest, expect);
    }
    let many = vec!["\"bob\""; 101].join(",");
    check_approvers(
        &format!("approvers = [{many}]"),
        "a.toml:4: 101 approvers are too many; name 100 at most, or a group",
    );
}

#[test]
fn a_quorum_must_be_possible() {
    let both = "approvers = [\"group:oncall\", \"bob\", \"group:security\"]\nquorum = ";
    check_approvers(&format!("{both}2"), "");
    // Each person counts once, in whichever groups; the disabled and the others not at all.
    check_approvers(
        &format!("{both}3"),
        "a.toml:5: `quorum` is 3 and only 2 of the users can approve; lower it to 2, or name more \
         approvers",
    );
    check_approvers(
        &format!("{both}0"),
        "a.toml:5: `quorum` is 0; write 1 or more, or approval = \"none\"",
    );
    check_approvers(
        &format!("{both}-1"),
        "a.toml:5: `quorum` is -1; write a number from 1 to 4294967295",
    );
}

#[test]
fn what_a_rule_does_not_use_is_refused() {
    for (key, line) in [
        ("approvers", "approvers = [\"bob\"]"),
        ("quorum", "quorum = 1"),
        ("self_approval", "self_approval = false"),
        ("pending_for", "pending_for = \"1h\""),
        ("mode", "mode = \"enforce\""),
        ("auto_approve", "auto_approve = { requester = \"ci-*\" }"),
        ("remind_every", "remind_every = \"5m\""),
        ("remember", "remember = true"),
        ("break_glass", "break_glass = [\"bob\"]"),
    ] {
        check_approvers(
            &format!("approval = \"none\"\n{line}"),
            &format!("a.toml:5: `{key}` means nothing on a rule that asks nobody; remove it"),
        );
        check_approvers(
            &format!("effect = \"deny\"\n{line}"),
            &format!("a.toml:5: `{key}` means nothing on a rule that denies; remove it"),
        );
    }
    for (key, line) in [("bind", "bind = \"tool\""), ("reason_kinds", "reason_kinds = [\"x\"]")] {
        check_approvers(
            &format!("effect = \"deny\"\n{line}"),
            &format!("a.toml:5: `{key}` means nothing on a rule that denies; remove it"),
        );
    }
    check_approvers(
        "effect = \"deny\"\nlease = { uses = 1 }",
        "a.toml:5: `lease` means nothing on a rule that denies; remove it",
    );
    check_approvers(
        "approval = \"none\"\nmin_reason_length = 20",
        "a.toml:5: `min_reason_length` means nothing on a rule that requires no reason; write \
         require_reason = true, or remove it",
    );
}

#[test]
fn numbers_and_durations_have_bounds() {
    for line in [
        "lease = { default = \"1s\", max = \"30d\", uses = 1000000 }",
        "lease = { default = \"2h\" }",
        "lease = { max = \"10m\" }",
        "pending_for = \"10s\"",
        "pending_for = \"30d\"",
        "require_reason = true\nmin_reason_length = 2000",
    ] {
        check(&rule_with(line), &[]);
    }
    for (line, expect) in [
        (
            "lease = { default = \"2h\", max = \"1h\" }",
            "`lease.default` is 2h and `lease.max` only 1h; make max the longer one",
        ),
        (
            "lease = { default = \"0s\" }",
            "`lease.default` is 0s; write whole seconds from 1s to 30d",
        ),
        ("lease = { max = \"31d\" }", "`lease.max` is 31d; write whole seconds from 1s to 30d"),
        (
            "lease = { max = \"1500ms\" }",
            "`lease.max` is 1500ms; write whole seconds from 1s to 30d",
        ),
        (
            "lease = { max = \"soon\" }",
            "`soon` is not a duration; write a number and a unit, such as 90s, 15m, 1h or 7d",
        ),
        ("lease = { uses = 0 }", "`lease.uses` is 0; write a number from 1 to 1000000"),
        ("lease = { uses = 1000001 }", "`lease.uses` is 1000001; write a number from 1 to 1000000"),
        ("pending_for = \"9s\"", "`pending_for` is 9s; write whole seconds from 10s to 30d"),
        ("pending_for = \"31d\"", "`pending_for` is 31d; write whole seconds from 10s to 30d"),
        ("min_reason_length = 2001", "`min_reason_length` is 2001; write a number from 1 to 2000"),
    ] {
        check(&rule_with(line), &[&format!("a.toml:5: {expect}")]);
    }
}

/// Rules that ask nobody, one line each: a name, a path and what else there is.
fn rules(rules: &[(&str, &str, &str)]) -> String {
    let rule = |(name, path, rest): &(&str, &str, &str)| {
        format!("[[rule]]\nname = \"{name}\"\nresource = \"vouchsafe://{path}\"\n{rest}\n")
    };
    rules.iter().map(rule).collect()
}

const ALLOW: &str = "approval = \"none\"";
const DENY: &str = "effect = \"deny\"";

#[test]
fn a_name_is_given_once() {
    check(
        &rules(&[("A", "secrets/a", ALLOW), ("A", "secrets/b", DENY)]),
        &["a.toml:5: the rule at a.toml:1 is called `A` too; give one of them another name"],
    );
}

#[test]
fn nothing_may_be_left_undecided() {
    let mend = "make one resource more specific, or the operations different";
    check(
        &rules(&[("A", "secrets/a/*", ALLOW), ("B", "secrets/*/b", ALLOW)]),
        &[&format!(
            "a.toml:5: `A` (a.toml:1) and `B` (a.toml:5) are equally specific and both cover list, \
             use, read on some resource; {mend}"
        )],
    );
    let split = |a, b| {
        let (a, b) = (format!("{ALLOW}\noperations = {a}"), format!("{ALLOW}\noperations = {b}"));
        rules(&[("A", "secrets/a/*", &a), ("B", "secrets/a/*", &b)])
    };
    check(&split("[\"list\", \"use\"]", "[\"read\"]"), &[]);
    check(
        &split("[\"list\", \"use\"]", "[\"read\", \"use\"]"),
        &[&format!(
            "a.toml:6: `A` (a.toml:1) and `B` (a.toml:6) are equally specific and both cover use \
             on some resource; {mend}"
        )],
    );
    check(&rules(&[("A", "secrets/a/*", ALLOW), ("B", "secrets/b/*", ALLOW)]), &[]);
    check(&rules(&[("A", "secrets/a/*", ALLOW), ("B", "secrets/a/**", ALLOW)]), &[]);
    check(&rules(&[("A", "secrets/a/*", ALLOW), ("B", "secrets/*/b", DENY)]), &[]);
}

#[test]
fn a_clash_between_files_is_told_at_the_later_one() {
    let one = |name: &str, rule: &str| PolicyFile {
        name: name.to_owned(),
        text: rules(&[(rule, "secrets/a", ALLOW)]),
    };
    let (a, b) = (one("a.toml", "A"), one("b.toml", "B"));
    let expect = "b.toml:1: `A` (a.toml:1) and `B` (b.toml:1) are equally specific and both cover \
                  list, use, read on some resource; make one resource more specific, or the \
                  operations different";
    for files in [[a.clone(), b.clone()], [b, a]] {
        let problems = parse(&files, &directory(), &Options::default()).unwrap_err();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expect]);
    }
}

#[test]
fn a_rule_that_can_never_match_is_refused() {
    check(
        &rules(&[("A", "secrets/a/ROOT", ALLOW), ("No", "secrets/**/ROOT", DENY)]),
        &["a.toml:1: this rule can never match: `No` (a.toml:5) denies all of it; remove one of \
           the two"],
    );
    // Some of its resources, or of its operations, are left.
    check(&rules(&[("A", "secrets/a/*", ALLOW), ("No", "secrets/**/ROOT", DENY)]), &[]);
    let some = format!("{DENY}\noperations = [\"read\", \"use\"]");
    check(&rules(&[("A", "secrets/a/*", ALLOW), ("No", "secrets/**", &some)]), &[]);
    let rest = format!("{DENY}\noperations = [\"list\"]");
    check(
        &rules(&[
            ("A", "secrets/a/*", ALLOW),
            ("No", "secrets/**", &some),
            ("Nor", "secrets/a/*", &rest),
        ]),
        &[
            "a.toml:1: this rule can never match: `Nor` (a.toml:10) denies all of it; remove one of \
           the two",
        ],
    );
    check(
        &rules(&[("A", "secrets/**", ALLOW), ("B", "secrets/*/**", ALLOW)]),
        &[
            "a.toml:5: this rule can never match: `A` (a.toml:1) has fewer wildcards and is for all \
           of its resources; remove one of the two, or write fewer wildcards here",
        ],
    );
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    check(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a\"\napprovers = [\"eve\", \"carl\"]\n\
         quorum = 0\nlease = { uses = 0, max = \"x\" }\nnotify = []\n",
        &[
            "a.toml:4: the user `carl` is disabled; enable the user, or name another",
            "a.toml:4: there is no user `eve`; make the user with `vouchsafe users create`, or \
             name another",
            "a.toml:5: `quorum` is 0; write 1 or more, or approval = \"none\"",
            "a.toml:6: `lease.uses` is 0; write a number from 1 to 1000000",
            "a.toml:6: `x` is not a duration; write a number and a unit, such as 90s, 15m, 1h or \
             7d",
            "a.toml:7: `notify` names no channel, so nobody would hear of an ask; name one, or remove \
             the line",
        ],
    );
}

#[test]
fn there_are_limits_on_how_much_there_is() {
    let told = |files: &[PolicyFile]| {
        parse(files, &directory(), &Options::default()).unwrap_err()[0].to_string()
    };
    let files: Vec<_> = (0..=FILES_MAX).map(|_| file("")).collect();
    assert_eq!(told(&files), "101 policy files are too many; join them into 100 at most");
    let large = file(&"#".repeat(FILE_BYTES_MAX + 1));
    assert_eq!(told(&[large]), "a.toml: the file is over 256 KiB; split it");
    let many = |from: usize| {
        let named: Vec<_> =
            (from..from + 1_001).map(|n| (format!("R{n}"), format!("secrets/s{n}"))).collect();
        let all: Vec<_> = named.iter().map(|(n, p)| (n.as_str(), p.as_str(), ALLOW)).collect();
        file(&rules(&all))
    };
    assert_eq!(
        told(&[many(0), many(5_000)]),
        "2002 rules are too many; join them into 2000 at most"
    );
    assert!(parse(&[many(0)], &directory(), &Options::default()).is_ok());
    let wrong = file(&"[[rule]]\n".repeat(600));
    let problems = parse(&[wrong], &directory(), &Options::default()).unwrap_err();
    assert_eq!(problems.len(), PROBLEMS_MAX);
}

#[test]
fn a_case_with_a_mistake_is_refused_too() {
    let text = "[[case]]\nname = \"x\"\nresource = \"vouchsafe://secrets/a b\"\noperation = \"see\"\n\
                expect = \"maybe\"\nquorum = \"1\"\ngot = 1\n\n[[case]]\n";
    let shown: Vec<_> =
        parse_cases(&file(text)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "a.toml:3: `vouchsafe://secrets/a b` is not a resource: the part `a b` may hold letters \
             A-Z and a-z, digits and _ . - only; write a resource such as \
             vouchsafe://secrets/production/DATABASE_URL",
            "a.toml:4: `see` is not an operation; write list, use, read, write, delete or call",
            "a.toml:5: `expect` is `maybe`; write \"ask\", \"approve\" (by its conditions), \"allow\" \
             (nobody is asked), \"observe\", \"reason\" (it does not do) or \"refuse\"",
            "a.toml:6: `quorum` must be a whole number, and this is of type string; write quorum = 0",
            "a.toml:7: `got` is not a key of a case; a case has name, resource, operation, key, \
             level, owner, reason, reason_kind, at, arguments, read_only, destructive, expect, rule, \
             approvers, quorum, factors, conditions_failed, reason_lacks, would, require_reason, \
             min_reason_length, lease_default, lease_max, uses, pending_for, escalate_after, \
             remember",
            "a.toml:9: this case has no `expect`; write expect = \"ask\"",
            "a.toml:9: this case has no `name`; write name = \"Names are free to see\"",
            "a.toml:9: this case has no `operation`; write operation = \"read\"",
            "a.toml:9: this case has no `resource`; write resource = \
             \"vouchsafe://secrets/demo/GREETING\"",
        ]
    );
}

#[test]
fn what_a_case_says_of_the_asker_is_checked() {
    let text = "[[case]]\nname = \"x\"\nresource = \"vouchsafe://audit\"\noperation = \"read\"\n\
                expect = \"ask\"\nlevel = \"lax\"\nreason = \" \"\nat = \"noon\"\n\
                arguments = \"[1]\"\nread_only = 1\n\n[[case]]\nname = \"y\"\n\
                resource = \"vouchsafe://audit\"\noperation = \"read\"\nexpect = \"ask\"\n\
                arguments = \"{\"\n";
    let shown: Vec<_> =
        parse_cases(&file(text)).unwrap_err().iter().map(ToString::to_string).collect();
    let arguments = "write arguments = { title = \"Hello\" }, or an object as JSON text";
    assert_eq!(
        shown,
        [
            "a.toml:6: `lax` is not a level: write strict, balanced, permissive or auto; write \
             level = \"balanced\", or remove it",
            "a.toml:7: the reason is empty; write another",
            "a.toml:8: `noon` is not a time of day; write at = \"2026-11-21T10:00:00Z\"",
            &format!("a.toml:9: `arguments` is not a table; {arguments}"),
            "a.toml:10: `read_only` must be true or false, and this is of type integer; write \
             read_only = true",
            &format!("a.toml:17: `{{` is not JSON; {arguments}"),
        ]
    );
}
