//! Expressions that nobody would write: nothing of them may panic, take long, or hold by mistake.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::super::conditions::Conditions;
use super::*;
use crate::key::{CallTraits, Level};
use crate::resource::Operation;
use crate::text::Reason;
use crate::time::UnixTime;

/// Pieces that expressions are made of, most of which go together.
const PIECES: [&str; 44] = [
    "ask.reason",
    "ask.resource",
    "ask",
    "args",
    "args.list",
    "args.text",
    "args.n",
    "key.name",
    "now",
    "x",
    "1",
    "-1",
    "2.5",
    "9223372036854775807",
    "1u",
    "\"a\"",
    "b\"a\"",
    "null",
    "true",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    " + ",
    " - ",
    " * ",
    " / ",
    " % ",
    " == ",
    " < ",
    " && ",
    " || ",
    "!",
    " in ",
    ".size()",
    ".exists(x, x == 1)",
    ".map(x, x)",
    "now.getHours()",
    "timestamp(\"2026-01-01T00:00:00Z\")",
];

/// A value, or an expression of one operator over smaller ones: nearly all of it parses.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "ask.reason",
        "ask.arguments",
        "args",
        "args.list",
        "args.text",
        "args.n",
        "args.missing",
        "args.deep.x",
        "key.level",
        "now",
        "0",
        "1",
        "-1",
        "2.5",
        "1u",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615u",
        "1e308",
        "\"\"",
        "\"é\"",
        "b\"a\"",
        "null",
        "true",
        "false",
        "duration(\"9223372036s\")",
        "timestamp(253402300799)",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let binary = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        let call = prop::sample::select(vec![
            "size", "int", "uint", "double", "string", "bool", "timestamp", "duration", "!", "-",
        ]);
        let method = prop::sample::select(vec![
            "size()", "getHours()", "getDayOfYear()", "getFullYear()", "getDate(\"+23:59\")",
            "getMonth(\"Asia/Tokyo\")", "matches(\"a.*b\")", "x", "getMilliseconds()",
        ]);
        let one = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
        let each = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            4 => (inner.clone(), binary, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            2 => (call, inner.clone()).prop_map(|(call, a)| format!("{call}({a})")),
            2 => (inner.clone(), method).prop_map(|(a, method)| format!("{a}.{method}")),
            1 => (inner.clone(), one, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            1 => (inner.clone(), each, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}(x, {b})")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(|all| format!("[{}]", all.join(", "))),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    })
}

/// The conditions that hold only this expression, where it is one; what is not must be told.
fn conditions(when: &str) -> Option<Conditions> {
    let when = serde_json::to_string(when).unwrap();
    let text = format!(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a\"\napprovers = [\"bob\"]\n\
         auto_approve = {{ when = {when} }}\n"
    );
    match parse(&[file(&text)], &directory(), &Options::default()) {
        Ok(set) => match &set.rules()[0].rule {
            AnyRule::Allow(rule) => rule.auto_approve.clone(),
            AnyRule::Deny(_) => panic!("it allows"),
        },
        Err(problems) => {
            assert!(problems.iter().all(|it| !it.message.is_empty() && !it.mend.is_empty()));
            None
        }
    }
}

/// What the expression says of an ask whose every word can be told from the expression's.
fn judged(conditions: &Conditions, arguments: &serde_json::Value) -> Outcome {
    let reason = Reason::parse("MARKED by the agent").unwrap();
    let mut outcomes = conditions.judge(&Circumstances {
        key: "claude-desktop",
        owner: "jane@example.com",
        level: Level::Balanced,
        resource: &"vouchsafe://secrets/a".parse().unwrap(),
        operation: Operation::Use,
        call: CallTraits::UNKNOWN,
        reason: Some(&reason),
        reason_kind: None,
        arguments,
        now: UnixTime::parse_rfc3339("2026-11-21T18:20:30Z").unwrap(),
    });
    outcomes.pop().unwrap()
}

fn check(when: &str) -> Result<(), TestCaseError> {
    let arguments = json!({
        "list": [1, "MARKED", null, [2], 2.5],
        "text": "MARKED",
        "n": 5,
        "deep": {"x": {"MARKED": true}},
    });
    let Some(conditions) = conditions(when) else { return Ok(()) };
    let outcome = judged(&conditions, &arguments);
    prop_assert!(outcome.error.is_none() || !outcome.holds, "{outcome:?}");
    prop_assert!(outcome.found == "true" || !outcome.holds, "{outcome:?}");
    prop_assert_ne!(outcome.error.as_deref(), Some("it cannot be evaluated"), "{}", when);
    prop_assert!(
        !format!("{} {:?}", outcome.found, outcome.error).contains("MARKED"),
        "{outcome:?}"
    );
    Ok(())
}

#[test]
fn the_expressions_below_are_judged_and_come_to_something() {
    let mut runner = TestRunner::deterministic();
    let arguments = json!({"list": [1], "text": "a", "n": 5});
    let [mut read, mut held, mut failed] = [0; 3];
    for _ in 0..400 {
        let when = any_expression().new_tree(&mut runner).unwrap().current();
        if let Some(conditions) = conditions(&format!("{when} == true || {when} != 1")) {
            let outcome = judged(&conditions, &arguments);
            read += 1;
            held += usize::from(outcome.holds);
            failed += usize::from(outcome.error.is_some());
        }
    }
    assert!(read > 200 && held > 20 && failed > 50, "{read} read, {held} held, {failed} failed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_expression_panics_holds_by_mistake_or_tells_the_agents_words(when in any_expression()) {
        check(&when)?;
        check(&format!("{when} == true"))?;
    }

    #[test]
    fn no_heap_of_pieces_panics(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        check(&text)?;
    }
}
