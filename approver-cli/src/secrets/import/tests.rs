//! Files as they are found. In what is expected, each secret and each fault stands with its line.

use std::fs;
use std::path::Path;

use super::file;
use super::item::Item;
use super::{Format, Source};
use crate::error::{CliError, Exit};

/// A line for each secret, with its remarks, or for each problem.
fn read(bytes: &[u8], format: Format, prefix: Option<&str>) -> Vec<String> {
    match file::items(bytes, format, prefix) {
        Ok(items) => items.iter().flat_map(told).collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn told(item: &Item) -> Vec<String> {
    let first = format!("{} {} {:?}", item.line, item.path, item.value.as_str());
    std::iter::once(first).chain(item.notes()).collect()
}

fn dotenv(text: &str) -> Vec<String> {
    read(text.as_bytes(), Format::Dotenv, None)
}

fn json(text: &str) -> Vec<String> {
    read(text.as_bytes(), Format::Json, None)
}

fn yaml(text: &str) -> Vec<String> {
    read(text.as_bytes(), Format::Yaml, None)
}

#[test]
fn files_are_read_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secrets/import/tests");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "env") {
            let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
            let expected: Vec<&str> = expected.lines().collect();
            let bytes = fs::read(&path).unwrap();
            assert_eq!(read(&bytes, Format::Dotenv, None), expected, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} files were found");
}

#[test]
fn lines_of_a_dotenv_file_are_read_one_by_one() {
    for (line, expected) in [
        ("A=1", r#"1 A "1""#),
        ("A=1\n", r#"1 A "1""#),
        ("\n\nA=1", r#"3 A "1""#),
        ("\u{feff}A=1\n", r#"1 A "1""#),
        ("# one\r\nA=1\r\n", r#"2 A "1""#),
        ("A=a\\nb", r#"1 A "a\\nb""#),
        ("A=it's", r#"1 A "it's""#),
        ("A=say \"hi\"", r#"1 A "say \"hi\"""#),
        ("A=two words  ", r#"1 A "two words""#),
        ("A = spaced", r#"1 A "spaced""#),
        ("\tA=1", r#"1 A "1""#),
        ("export\tA=1", r#"1 A "1""#),
        ("export=1", r#"1 export "1""#),
        ("A=b=c==", r#"1 A "b=c==""#),
        ("A='b\\'", r#"1 A "b\\""#),
        (r#"A="\n\r\t\"\\\$\x""#, r#"1 A "\n\r\t\"\\$\\x""#),
        ("A=\"one\r\ntwo\"\r\n", r#"1 A "one\ntwo""#),
        ("A=\"one\\r\\ntwo\"", r#"1 A "one\r\ntwo""#),
        ("A='#b' # c", r##"1 A "#b""##),
        ("a.b-c_1=x", r#"1 a.b-c_1 "x""#),
    ] {
        assert_eq!(dotenv(line), [expected], "{line:?}");
    }
}

#[test]
fn what_is_wrong_with_a_dotenv_file_is_named_with_its_line() {
    for (text, expected) in [
        ("A=1\n\nA=2", "line 3: A is on line 1 already"),
        ("A='1'\r\nB=\r\n", "line 2: there is no value; a secret has one byte at least"),
        ("A='1", "line 1: the quote that opens here never closes"),
        ("A=\"x\\\"", "line 1: the quote that opens here never closes"),
        ("A='1\n2'3", "line 2: text follows the quote that closes the value of line 1"),
        ("", "there is no secret in it"),
        ("# nothing\n", "there is no secret in it"),
    ] {
        assert_eq!(dotenv(text), [expected], "{text:?}");
    }
    let latin = read(b"A=1\nB=gr\xfc\xdfe\n", Format::Dotenv, None);
    assert_eq!(latin, ["line 2: it is not UTF-8; save it as UTF-8"]);
    let windows = read(b"\xff\xfeA\0=\x001\0", Format::Dotenv, None);
    assert_eq!(windows, ["it is UTF-16; save it as UTF-8"]);
}

#[test]
fn no_value_is_ever_in_a_message() {
    let secret = "hunter2";
    for text in [
        "hunter2",
        "hunter2=",
        "hunter2!=1",
        "A=\"1\"hunter2",
        "A='hunter2",
        "A=hunter2\nA=hunter2",
        "A=\"hunter2\n\"hunter2",
    ] {
        let problems = read(text.as_bytes(), Format::Dotenv, None);
        assert!(problems.iter().all(|problem| !problem.contains(secret)), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.starts_with("line ")), "{problems:?}");
    }
    for text in [
        r#""hunter2""#,
        r#"["hunter2"]"#,
        r#"{"A": "hunter2", "A": "hunter2"}"#,
        r#"{"A": "hunter2\x"}"#,
        r#"{"A": hunter2}"#,
        r#"{"A": ["hunter2"]}"#,
        r#"{"A": "hunter2"} hunter2"#,
    ] {
        let problems = json(text);
        assert!(problems.iter().all(|problem| !problem.contains(secret)), "{problems:?}");
    }
    for text in [
        "hunter2",
        "- hunter2",
        "A: hunter2\nA: hunter2",
        "A: 'hunter2",
        "A: *hunter2",
        "A: !hunter2 x",
        "A: [hunter2]",
        "A: b: hunter2",
        "A: @hunter2",
    ] {
        let problems = yaml(text);
        assert!(problems.iter().all(|problem| !problem.contains(secret)), "{problems:?}");
        assert!(problems.iter().all(|problem| !problem.contains('@')), "{problems:?}");
    }
}

#[test]
fn an_object_of_json_is_read_with_its_paths() {
    let text = r#"{
        "production": {
            "DATABASE_URL": "postgres://\u0061\"\n",
            "shop": {"PORT": 5432, "RATE": 1.10, "BIG": 12345678901234567890123, "ON": true}
        },
        "empty": {},
        "A": "1"
    }"#;
    let expected = [
        r#"3 production/DATABASE_URL "postgres://a\"\n""#,
        r#"4 production/shop/PORT "5432""#,
        r#"4 production/shop/RATE "1.10""#,
        r#"4 production/shop/BIG "12345678901234567890123""#,
        r#"4 production/shop/ON "true""#,
        r#"7 A "1""#,
    ];
    assert_eq!(json(text), expected);
    assert_eq!(json("\u{feff}{\"A\":\"1\"}"), [r#"1 A "1""#]);
}

#[test]
fn what_is_wrong_with_json_is_named_with_its_line_and_path() {
    let text = r#"{
        "a": {"b": null,
              "c": ["x"],
              "b": "again"},
        "a": 1,
        "sp ace": "x",
        "sl/ash": "x",
        "": "x",
        "e": ""
    }"#;
    let rule = "1 to 64 letters A-Z and a-z, digits and _ . -, neither `.` nor `..`";
    assert_eq!(
        json(text),
        [
            "line 2: a/b is null; a secret has a value".to_owned(),
            "line 3: a/c is a list; a secret is one value".to_owned(),
            "line 4: a/b is on line 2 already".to_owned(),
            "line 5: a is on line 2 already".to_owned(),
            format!("line 6: `sp ace` is no part of a path: {rule}"),
            format!("line 7: `sl/ash` is no part of a path: {rule}"),
            format!("line 8: `` is no part of a path: {rule}"),
            "line 9: e has an empty value".to_owned(),
        ]
    );
    for (text, expected) in [
        ("", "line 1: it is no JSON: EOF while parsing a value"),
        ("{\"a\": 1,\n}", "line 2: it is no JSON: trailing comma"),
        ("{\"a\": 1\n\"b\": 2}", "line 2: it is no JSON: expected `,` or `}`"),
        ("{}\n{}", "line 2: it is no JSON: trailing characters"),
        ("[1]", "it is no JSON object of names and values"),
        ("{}", "there is no secret in it"),
    ] {
        assert_eq!(json(text), [expected], "{text:?}");
    }
    let half = r#"{"a": "\ud800"}"#;
    assert_eq!(json(half), ["line 1: a is no text that can be read"]);
}

#[test]
fn a_mapping_of_yaml_is_read_with_its_paths() {
    let text = "\
# secrets
production:
  DATABASE_URL: postgres://a:b@c/d?e=f#g   # a comment
  PORT: 0x1F
  OCTAL: 0755
  RATE: 1.10
  ON: yes
  QUOTED: \"a\\tb: ~\"
  NULLISH: 'null'
  KEY: |
    -----BEGIN KEY-----
    x==
    -----END KEY-----
  FOLDED: >-
    one
    two
shop: {A: &a one, B: *a, C: !!str null}
";
    let expected = [
        r#"3 production/DATABASE_URL "postgres://a:b@c/d?e=f#g""#,
        r#"4 production/PORT "0x1F""#,
        r#"5 production/OCTAL "0755""#,
        r#"6 production/RATE "1.10""#,
        r#"7 production/ON "yes""#,
        r#"8 production/QUOTED "a\tb: ~""#,
        r#"9 production/NULLISH "null""#,
        r#"10 production/KEY "-----BEGIN KEY-----\nx==\n-----END KEY-----\n""#,
        r#"14 production/FOLDED "one two""#,
        r#"17 shop/A "one""#,
        r#"17 shop/B "one""#,
        r#"17 shop/C "null""#,
    ];
    assert_eq!(yaml(text), expected);
    assert_eq!(yaml("\u{feff}---\nA: 1\n...\n"), [r#"2 A "1""#]);
}

#[test]
fn what_is_wrong_with_yaml_is_named_with_its_line_and_path() {
    let text = "\
base: &base
  A: ~
  B:
  C: [x, {y: z}]
  A: again
next:
  <<: *base
  D: *base
  E: !!binary aGk=
  ? [complex]
  : {F: x}
base: 1
sp ace: x
list:
  - x
empty: ''
";
    let rule = "1 to 64 letters A-Z and a-z, digits and _ . -, neither `.` nor `..`";
    assert_eq!(
        yaml(text),
        [
            "line 2: base/A is null; a secret has a value".to_owned(),
            "line 3: base/B is null; a secret has a value".to_owned(),
            "line 4: base/C is a list; a secret is one value".to_owned(),
            "line 5: base/A is on line 2 already".to_owned(),
            "line 7: `<<` is not merged; write out what it stands for".to_owned(),
            "line 8: next/D is an alias for something else than a text; write it out".to_owned(),
            "line 9: next/E is tagged; write the value without the tag".to_owned(),
            "line 10: what stands before `:` is no name".to_owned(),
            "line 12: base is on line 1 already".to_owned(),
            format!("line 13: `sp ace` is no part of a path: {rule}"),
            "line 14: list is a list; a secret is one value".to_owned(),
            "line 16: empty has an empty value".to_owned(),
        ]
    );
    for (text, begins) in [
        ("", "there is no secret in it"),
        ("- a\n- b\n", "line 1: it is no YAML mapping of names and values"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins; a file has one"),
        ("a: 1\n  b: 2\n", "line 2: it is no YAML: "),
        ("b: 1\na: 'x\n\n", "line 2: it is no YAML: "),
    ] {
        let problems = yaml(text);
        assert!(problems.len() == 1 && problems[0].starts_with(begins), "{text:?}: {problems:?}");
    }
}

#[test]
fn an_alias_bomb_stays_small() {
    let big = "x".repeat(20_000);
    let aliases: Vec<String> = (0..1_500).map(|n| format!("A{n}: *a")).collect();
    let problems = yaml(&format!("A: &a {big}\n{}", aliases.join("\n")));
    assert_eq!(
        problems,
        ["it holds 1501 secrets; 1000 is the most", "its values are longer than 8 MiB together"]
    );
    let nested: Vec<String> =
        (1..100).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]", n - 1)).collect();
    let problems = yaml(&format!("a0: &a0 x\n{}", nested.join("\n")));
    assert_eq!(problems.len(), 99);
}

#[test]
fn everything_has_a_limit() {
    let line = |n: usize| format!("A{n}=x\n");
    let full: String = (0..1_000).map(line).collect();
    assert_eq!(file::items(full.as_bytes(), Format::Dotenv, None).unwrap().len(), 1_000);
    let over: String = (0..1_001).map(line).collect();
    assert_eq!(dotenv(&over), ["it holds 1001 secrets; 1000 is the most"]);
    let long = format!("A={}\nB={}", "x".repeat(65_536), "x".repeat(65_537));
    assert_eq!(dotenv(&long), ["line 2: B is longer than 64 KiB"]);
    let name = "N".repeat(65);
    let problems = json(&format!(r#"{{"{name}": 1}}"#));
    assert!(problems[0].starts_with("line 1: `NNN"), "{problems:?}");
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(json(&deep(8)), [r#"1 a/a/a/a/a/a/a/a "1""#]);
    let too_deep = ["line 1: a/a/a/a/a/a/a/a is nested too deep: a path has 8 parts"];
    assert_eq!(json(&deep(9)), too_deep);
    assert_eq!(yaml(&deep(9)), too_deep);
    for flood in ["[".repeat(100_000), r#"{"a":"#.repeat(100_000)] {
        assert!(file::items(flood.as_bytes(), Format::Json, None).is_err());
        assert!(file::items(flood.as_bytes(), Format::Yaml, None).is_err());
    }
}

#[test]
fn a_prefix_goes_before_every_path() {
    let read = |prefix| read(b"A=1", Format::Dotenv, prefix);
    assert_eq!(read(Some("production/shop")), [r#"1 production/shop/A "1""#]);
    assert_eq!(read(Some("a/b/c/d/e/f/g/h")), ["line 1: A has more than 8 parts"]);
}

#[test]
fn the_name_of_a_file_tells_its_format() {
    let format = |name: &str| Source::new(name.into(), None).map(|source| format!("{source:?}"));
    for (name, told) in [
        (".env", "Dotenv"),
        ("/a/.env.production", "Dotenv"),
        ("shop.env", "Dotenv"),
        ("Secrets.JSON", "Json"),
        ("secrets.yml", "Yaml"),
        (".env.yaml", "Yaml"),
    ] {
        assert!(format(name).unwrap().contains(told), "{name}");
    }
    for name in ["secrets", "secrets.txt", "-", ""] {
        let error = format(name).unwrap_err();
        assert_eq!(error.exit, Exit::Usage, "{name}");
    }
    assert!(Source::new("-".into(), Some(Format::Json)).unwrap().is_standard_input());
}

#[test]
fn problems_are_told_at_once_and_not_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.env");
    let items = |text: &str, prefix| -> Result<Vec<Item>, CliError> {
        fs::write(&file, text).unwrap();
        Source::new(file.clone(), None).unwrap().items(prefix)
    };
    let error = items(&"bad\n".repeat(60), None).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.message.contains("\n  line 1: ") && error.message.contains("\n  line 50: "));
    assert!(error.message.ends_with("\n  and 10 more"), "{}", error.message);
    let error = items("A=1", Some("a//b")).unwrap_err();
    assert!(error.message.starts_with("--prefix: "), "{}", error.message);
    let error = items(&"#".repeat(9 * 1024 * 1024), None).unwrap_err();
    assert!(error.message.ends_with("is longer than 8 MiB"), "{}", error.message);
    let path = |prefix| items("A=1", Some(prefix)).unwrap().remove(0).path;
    assert_eq!(path("vouchsafe://secrets/shop/"), "shop/A");
}
