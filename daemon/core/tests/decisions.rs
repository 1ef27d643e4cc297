//! The tables in `tests/decisions`: each folder holds rules, the people and keys there are, and asks
//! with what the rules must say to them. A system test asks the same through MCP.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vouchsafe_core::key::Level;
use vouchsafe_core::policy::{
    Directory, Member, Options, PolicyFile, parse, parse_cases, run_cases,
};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/decisions");
    let mut folders: Vec<_> =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// A file of a set, called as its folder and itself.
#[expect(clippy::disallowed_methods, reason = "a test may read its data")]
fn in_folder(folder: &Path, name: &str) -> PolicyFile {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let folder = folder.file_name().unwrap().to_str().unwrap();
    PolicyFile { name: format!("{folder}/{name}"), text }
}

/// A key of `people.toml`.
struct Key {
    name: String,
    owner: String,
    level: Level,
}

fn people(folder: &Path) -> (Directory, Vec<Key>) {
    let table: toml::Table = in_folder(folder, "people.toml").text.parse().unwrap();
    let all =
        |key: &str| table.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |of: &toml::Value, key: &str| of[key].as_str().unwrap().to_owned();
    let texts = |of: &toml::Value, key: &str| -> Vec<String> {
        of[key].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let members = all("user").into_iter().map(|user| Member {
        name: text(&user, "name"),
        enabled: user.get("enabled").and_then(toml::Value::as_bool).unwrap_or(true),
        approves: texts(&user, "roles").iter().any(|role| role == "approver" || role == "admin"),
        groups: texts(&user, "groups"),
    });
    let keys = all("key").into_iter().map(|key| Key {
        name: text(&key, "name"),
        owner: text(&key, "owner"),
        level: text(&key, "level").parse().unwrap(),
    });
    (Directory { members: members.collect() }, keys.collect())
}

#[test]
fn the_rules_of_each_table_say_what_it_expects() {
    let mut asked = 0;
    for folder in folders() {
        let (directory, keys) = people(&folder);
        let rules = in_folder(&folder, "rules.toml");
        let rules = parse(&[rules], &directory, &Options::default()).unwrap();
        let cases = parse_cases(&in_folder(&folder, "rules.cases.toml")).unwrap();
        for (case, result) in cases.iter().zip(run_cases(&rules, &cases)) {
            let place = format!("{}:{}: {}", case.file, case.line, case.name);
            assert_eq!(result.got, result.expected, "{place}");
            assert!(result.passed, "{place}");
            // A test that asks for real has only the keys that there are.
            let key = keys.iter().find(|key| Some(&key.name) == case.key.as_ref());
            let key = key.unwrap_or_else(|| panic!("{place}: no such key"));
            assert_eq!((Some(&key.owner), key.level), (case.owner.as_ref(), case.level), "{place}");
            assert!(directory.member(&key.owner).is_some(), "{place}: no such owner");
        }
        asked += cases.len();
    }
    assert!(asked >= 200, "{asked} cases");
}

#[test]
fn each_rule_of_each_table_is_shown() {
    for folder in folders() {
        let (directory, _) = people(&folder);
        let rules = in_folder(&folder, "rules.toml");
        let rules = parse(&[rules], &directory, &Options::default()).unwrap();
        let cases = parse_cases(&in_folder(&folder, "rules.cases.toml")).unwrap();
        let shown: BTreeSet<_> = cases
            .iter()
            .filter_map(|case| rules.decide(&case.resource, case.operation).decided_by().cloned())
            .collect();
        let all: BTreeSet<_> = rules.rules().iter().map(|it| it.rule.name().clone()).collect();
        assert_eq!(shown, all, "{}", folder.display());
        let words: BTreeSet<_> = cases.iter().filter_map(|case| case.expected().next()).collect();
        assert!(words.len() > 1, "{} expects only {words:?}", folder.display());
    }
}
