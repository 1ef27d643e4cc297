use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const VALUE: &str = "pw \"q\" \\n/7+c2é&3%41=b9a41";
const PEM: &str = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2Vw\nBCIEIKn0\n-----END KEY-----\n";

fn of(values: &[&[u8]]) -> Redactor {
    let values: Vec<_> = values.iter().map(|value| SecretBytes::new(value.to_vec())).collect();
    Redactor::of(&values)
}

#[track_caller]
fn check(value: &[u8], text: &str, masked: &str) {
    assert_eq!(of(&[value]).redact(text), masked, "{text}");
}

/// With every character as `\uXXXX`.
fn all_escaped(text: &str) -> String {
    let escapes: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    escapes.concat()
}

fn in_json(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap();
    json[1..json.len() - 1].to_owned()
}

fn percent(bytes: &[u8], plain: impl Fn(u8) -> bool) -> String {
    let one = |b: &u8| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") };
    bytes.iter().map(one).collect::<Vec<_>>().concat()
}

/// How programs write these bytes, each with a name.
fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let mixed: String = HEXLOWER
        .encode(value)
        .chars()
        .enumerate()
        .map(|(n, c)| if n % 3 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    let mut forms = vec![
        ("base64", BASE64.encode(value)),
        ("base64url", BASE64URL.encode(value)),
        ("base64 without padding", BASE64_NOPAD.encode(value)),
        ("base64url without padding", BASE64URL_NOPAD.encode(value)),
        ("hex", HEXLOWER.encode(value)),
        ("HEX", HEXUPPER.encode(value)),
        ("hEx", mixed),
        ("percent", percent(value, |b| b.is_ascii_alphanumeric())),
        ("percent, all", percent(value, |_| false)),
        ("percent, capitals", percent(value, |_| false).to_uppercase()),
        ("percent, some", percent(value, |b| b != b'%' && b.is_ascii() && b % 3 != 0)),
        ("percent, twice", percent(percent(value, |_| false).as_bytes(), |b| b != b'%')),
    ];
    let form = percent(value, |b| b.is_ascii_alphanumeric() || b == b' ').replace(' ', "+");
    forms.push(("a form", form));
    for before in ["u:", "us:", "use:"] {
        let whole = [before.as_bytes(), value, b"!"].concat();
        forms.push(("inside base64", BASE64.encode(&whole)));
        forms.push(("inside base64url", BASE64URL_NOPAD.encode(&whole)));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let once = in_json(text);
        forms.push(("as it is", text.to_owned()));
        forms.push(("JSON twice", in_json(&once)));
        forms.push(("JSON three times", in_json(&in_json(&once))));
        forms.push(("JSON", once));
        forms.push(("all of JSON's", all_escaped(text)));
        forms.push(("all of JSON's, twice", in_json(&all_escaped(text))));
        forms.push(("shown", text::escape_untrusted(text).text));
        forms.push(("shown, in JSON", in_json(&text::escape_untrusted(text).text)));
        forms.push(("JSON in percent", percent(in_json(text).as_bytes(), |_| false)));
    }
    forms
}

#[test]
fn a_value_is_masked_in_every_form() {
    for value in [
        VALUE.as_bytes(),
        PEM.trim_end().as_bytes(),
        b"hunter2",
        b"two words and + more",
        "пароль-ключ 😀".as_bytes(),
        b"line one\r\nline two\ttab\\t\\u0041",
        br#"{"user":"a","password":"b\n"}"#,
        &[0, 159, 146, 150, 255, 254, 13, 10, 7],
        "x\u{202e}y\u{200b}zzz".as_bytes(),
    ] {
        let redactor = of(&[b"another value", value, b"one more"]);
        for (name, form) in forms(value) {
            for (before, after) in [("", ""), ("token ", "."), ("\"", "\","), ("é=", "⏎ok")] {
                let masked = redactor.redact(&format!("{before}{form}{after}")).into_owned();
                assert_eq!(masked, format!("{before}{REDACTED}{after}"), "{name}: {form}");
            }
        }
    }
}

#[test]
fn what_is_around_a_value_stays() {
    let value = b"correct horse";
    check(value, "a correct horse, and a correct horse!", "a ***REDACTED, and a ***REDACTED!");
    check(value, "correct hors", "correct hors");
    check(value, "a correct+horse", "a ***REDACTED");
    check(value, "Basic dXNlcjpjb3JyZWN0IGhvcnNl", "Basic ***REDACTED");
    check(value, "Basic dTpjb3JyZWN0IGhvcnNlIQ==; x", "Basic ***REDACTED; x");
    check(value, "\\ndXNlcjpjb3JyZWN0IGhvcnNl\\n", "\\n***REDACTED\\n");
    check(value, "%20dXNlcjpjb3JyZWN0IGhvcnNl%20", "%20***REDACTED%20");
    check(value, "0x636f727265637420686f727365ff", "0x***REDACTEDff");
    // Wrapped, as `base64` and MIME do it.
    check(value, "Y29ycmVj\ndCBob3\r\nJzZQ==\n", "***REDACTED\n");
    check(value, "Y29ycmVj⏎dCBob3JzZQ==", "***REDACTED");
    check(value, "{\"a\":\"correct\\u0020horse\"}", "{\"a\":\"***REDACTED\"}");
}

#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    check(b"  trimmed value\n", "(trimmed value)", "(***REDACTED)");
    check(PEM.as_bytes(), &PEM.replace('\n', "\r\n"), "***REDACTED\r\n");
    check(PEM.replace('\n', "\r\n").as_bytes(), PEM, "***REDACTED\n");
}

#[test]
fn short_values_are_left() {
    for value in [&b""[..], b"     ", b"a", b"12345", b"12345  \n"] {
        check(value, "12345 a \n ab", "12345 a \n ab");
    }
    check(b"123456", "12345 123456", "12345 ***REDACTED");
}

#[test]
fn values_that_overlap_are_one_mask() {
    let redactor = of(&[b"abcdefgh", b"efghijkl", b"abcdefghijklmnop", b"abcdef"]);
    assert_eq!(redactor.redact("x abcdefghijkl y"), "x ***REDACTED y");
    assert_eq!(redactor.redact("x abcdefghijklmnop y"), "x ***REDACTED y");
    assert_eq!(redactor.redact("x abcdefg y"), "x ***REDACTEDg y");
    assert_eq!(of(&[b"aaaaaa"]).redact("baaaaaaaaab"), "b***REDACTEDb");
}

#[test]
fn bytes_that_are_no_text_never_cut_a_character() {
    // The middle of `éééééé`.
    let bytes = &"éééééé".as_bytes()[1..11];
    check(bytes, "aééééééb", "a***REDACTEDb");
}

#[test]
fn json_is_masked_in_strings_names_and_numbers() {
    let redactor = of(&[b"hunter22", b"314159"]);
    let mut value = json!({
        "hunter22": [1, true, null, "x hunter22", { "aHVudGVyMjI=": 3_141_590 }],
        "68756e7465723232": "y",
        "plain": "text",
    });
    assert!(redactor.redact_json(&mut value));
    assert_eq!(
        value,
        json!({
            "***REDACTED": "y",
            "***REDACTED 2": [1, true, null, "x ***REDACTED", { "***REDACTED": "***REDACTED0" }],
            "plain": "text",
        })
    );
    let mut plain = json!({ "a": [1, "b", { "c": "hunter2" }] });
    let before = plain.clone();
    assert!(!redactor.redact_json(&mut plain));
    assert_eq!(plain, before);
}

#[test]
fn nothing_is_said_of_the_values() {
    assert_eq!(format!("{:?}", of(&[b"hunter22"])), "Redactor(..)");
    assert_eq!(format!("{:?}", Redactor::builder(1)), "Builder(..)");
}

#[test]
fn no_text_and_no_values_make_it_more_than_linear() {
    // Many that begin alike, many that are one within the other, and one that is long.
    let mut values: Vec<Vec<u8>> = (0..1_000).map(|n| format!("sk_live_{n:032}").into()).collect();
    values.extend((0..50).map(|n| vec![b'A'; 100 + n]));
    values.push(vec![b'A'; 60_000]);
    values.push(b"%25%25%25%25%25%25".to_vec());
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let redactor = of(&values);
    let hostile = |length: usize| {
        let repeated = |text: &str| text.repeat(length / text.len());
        [
            repeated("A"),
            repeated("QUFB"),
            repeated("41"),
            repeated("%25"),
            repeated("%252525"),
            repeated("%5C"),
            repeated("\\"),
            repeated("\\\\u005c"),
            repeated("\\u0025"),
            repeated("+%20+"),
            repeated("sk_live_"),
            repeated("sk_live_0000000"),
            repeated("A\n"),
            repeated("A⏎"),
            repeated("====A==="),
            repeated("words of prose, longer ones among them. "),
        ]
    };
    for (short, long) in hostile(4_096).into_iter().zip(hostile(8 * 4_096)) {
        let steps = redactor.search(&short).steps;
        // Every byte in every reading, and up to 52 lengths where it begins as values do.
        assert!(steps < 1_000 * 4_096, "{steps} steps for {:?}", &short[..10]);
        let more = redactor.search(&long).steps;
        assert!(more < 9 * steps + 4_096, "{steps} steps, then {more}, for {:?}", &short[..10]);
    }
    let prose = "words of prose, longer ones among them; `sk_live_x` is none. ".repeat(70);
    assert!(redactor.search(&prose).steps < 20 * 4_096);
}

/// Any bytes, of which short alphabets make near misses likely.
fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), Just(b'%'), Just(b'\\'), Just(b'+'), b'a'..=b'f'];
    vec(byte, length)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ -~é\\n\\t⏎😀]{8,40}".prop_map(String::into_bytes);
    prop_oneof![bytes(8..60), text, "[a-f]{8,20}".prop_map(String::into_bytes)]
        .prop_map(|value| value.trim_ascii().to_vec())
        .prop_filter("is long enough", |value| value.len() >= VALUE_BYTES_MIN)
}

/// What nobody masks: no form of a value has these characters only.
fn surroundings() -> impl Strategy<Value = String> {
    "[g-z .,;:!?(){}\\[\\]é⏎]{0,40}".prop_map(|text| format!("{text} "))
}

/// The search, done one value and one form at a time.
fn naive(values: &[Vec<u8>], text: &str) -> bool {
    values.iter().any(|value| forms(value).iter().any(|(_, form)| text.contains(form.as_str())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_of_a_value_is_left_in_any_form(
        values in vec(value(), 1..6),
        before in surroundings(),
        after in surroundings(),
    ) {
        let redactor = Redactor::of(&values.iter().cloned().map(SecretBytes::new).collect::<Vec<_>>());
        for value in &values {
            for (name, form) in forms(value) {
                let text = format!("{before}{form} {after}");
                let masked = redactor.redact(&text);
                prop_assert!(masked.starts_with(&before) && masked.ends_with(&after), "{name}: {masked}");
                let between = &masked[before.len()..masked.len() - after.len()];
                prop_assert_eq!(between, format!("{REDACTED} "), "{}: {:?}", name, form);
                prop_assert!(!naive(&values, &masked));
            }
        }
    }

    #[test]
    fn text_without_values_stays_as_it_is(values in vec(value(), 0..6), text in any::<String>()) {
        prop_assume!(!naive(&values, &text));
        let redactor = Redactor::of(&values.iter().cloned().map(SecretBytes::new).collect::<Vec<_>>());
        prop_assert_eq!(redactor.redact(&text), text.as_str());
    }

    #[test]
    fn any_characters_may_be_escaped(
        value in "[ -~é\\n😀]{6,30}".prop_filter("is long enough", |v| v.trim_ascii().len() >= 6),
        which in vec(any::<bool>(), 30),
    ) {
        let redactor = of(&[value.as_bytes()]);
        let pairs = || value.trim_ascii().chars().zip(which.iter().cycle());
        let json: String = pairs()
            .map(|(c, escaped)| match c {
                _ if *escaped => all_escaped(&c.to_string()),
                _ => in_json(&c.to_string()),
            })
            .collect();
        let url: String = pairs()
            .map(|(c, escaped)| match c {
                ' ' if !*escaped => "+".to_owned(),
                'a'..='z' | '/' | '"' if !*escaped => c.to_string(),
                _ => percent(c.to_string().as_bytes(), |_| false),
            })
            .collect();
        for form in [json.clone(), in_json(&json), url] {
            let text = format!("<{form}>");
            prop_assert_eq!(redactor.redact(&text), "<***REDACTED>", "{}", form);
        }
    }
}
