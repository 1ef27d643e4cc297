use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use vouchsafe_core::policy::{Directory, Member, Options, parse, parse_cases, run_cases};

use super::*;

/// The folder of these files, each with its bytes.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn names(files: &[PolicyFile]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

fn check_refused(folder: &TempDir, expect: &str) {
    let error = read_dir(folder.path()).unwrap_err();
    let problem = error.problem();
    let shown = format!("{} [{}]", problem.message, problem.file);
    assert_eq!(shown.replace(folder.path().to_str().unwrap(), "DIR"), expect);
}

/// A fresh home: one admin in all three groups.
fn fresh_home() -> Directory {
    let groups = ["approvers", "oncall", "security"].map(str::to_owned).to_vec();
    Directory {
        members: vec![Member { name: "admin".to_owned(), enabled: true, approves: true, groups }],
    }
}

#[test]
fn rules_and_cases_are_read_apart_and_in_order() {
    let folder = folder(&[
        ("b.toml", b"# b"),
        ("a.toml", b""),
        ("a.cases.toml", b""),
        ("notes.md", b"\xff"),
        (".#a.toml", b"\xff"),
    ]);
    fs::create_dir(folder.path().join("old.toml")).unwrap();
    let read = read_dir(folder.path()).unwrap();
    assert_eq!(names(&read.rules), ["a.toml", "b.toml"]);
    assert_eq!(names(&read.cases), ["a.cases.toml"]);
    assert_eq!(read.rules[1].text, "# b");
}

#[test]
fn a_link_to_a_file_is_read() {
    let folder = folder(&[("real", b"# here")]);
    symlink("real", folder.path().join("a.toml")).unwrap();
    assert_eq!(read_dir(folder.path()).unwrap().rules[0].text, "# here");
}

#[test]
fn what_cannot_be_read_is_named() {
    check_refused(
        &folder(&[("a.toml", b"\xff")]),
        "the policy file DIR/a.toml is not UTF-8 [a.toml]",
    );
    check_refused(
        &folder(&[("a.toml", &vec![b'#'; FILE_BYTES_MAX + 1])]),
        "the policy file DIR/a.toml is over 256 KiB [a.toml]",
    );
    assert!(read_dir(folder(&[("a.toml", &vec![b'#'; FILE_BYTES_MAX])]).path()).is_ok());

    let looped = folder(&[]);
    symlink("a.toml", looped.path().join("a.toml")).unwrap();
    check_refused(
        &looped,
        "cannot read the policy file DIR/a.toml: Too many levels of symbolic links (os error 40) \
         [a.toml]",
    );
    let dangling = folder(&[]);
    symlink("gone", dangling.path().join("a.toml")).unwrap();
    check_refused(
        &dangling,
        "cannot read the policy file DIR/a.toml: No such file or directory (os error 2) [a.toml]",
    );
    let device = folder(&[]);
    symlink("/dev/zero", device.path().join("a.toml")).unwrap();
    check_refused(&device, "the policy file DIR/a.toml is not a regular file [a.toml]");
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    let folder = folder(&[]);
    let name = std::ffi::OsStr::from_bytes(b"\xff.toml");
    fs::write(folder.path().join(name), b"").unwrap();
    assert!(matches!(read_dir(folder.path()), Err(ReadError::NotUtf8 { .. })));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = folder(&[]);
    let error = read_dir(&folder.path().join("none")).unwrap_err();
    assert!(error.problem().message.ends_with("No such file or directory (os error 2)"));
}

#[test]
fn more_than_a_hundred_files_are_refused() {
    let folder = folder(&[]);
    for number in 0..=FILES_MAX {
        fs::write(folder.path().join(format!("{number}.toml")), b"").unwrap();
    }
    assert!(matches!(read_dir(folder.path()), Err(ReadError::TooMany { .. })));
}

#[test]
fn a_set_is_swapped_whole_and_a_refused_one_changes_nothing() {
    let loaded = |source: &str| {
        let set = RuleSet::empty();
        Arc::new(Loaded { set, source: source.to_owned(), loaded_at: UnixTime::from_ms(0) })
    };
    let files = PolicyFiles::new(loaded("first"));
    let held = files.current();
    let problem = Problem {
        file: "a.toml".to_owned(),
        line: 1,
        message: "wrong".to_owned(),
        mend: "mend".to_owned(),
    };
    files.refuse(vec![problem.clone()]);
    assert_eq!((files.current().source.as_str(), files.problems()), ("first", vec![problem]));
    assert_eq!(files.replace(loaded("second")).source, "first");
    assert_eq!((files.current().source.as_str(), files.problems()), ("second", Vec::new()));
    assert_eq!(held.source, "first");
}

#[test]
fn the_rules_we_ship_load_in_a_fresh_home_and_pass_their_cases() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let folder = read_dir(&shipped).unwrap();
    let set = parse(&folder.rules, &fresh_home(), &Options::default()).unwrap();
    assert_eq!(folder.cases.len(), folder.rules.len(), "each file of rules has its cases");
    let mut decided = std::collections::BTreeSet::new();
    for file in &folder.cases {
        let cases = parse_cases(file).unwrap();
        for result in run_cases(&set, &cases) {
            assert_eq!(result.got, result.expected, "{}:{}", result.file, result.line);
            assert!(result.passed);
        }
        let verdicts = cases.iter().map(|case| set.decide(&case.resource, case.operation));
        decided.extend(verdicts.filter_map(|verdict| verdict.decided_by().cloned()));
    }
    for placed in set.rules() {
        assert!(decided.contains(placed.rule.name()), "{} has a case", placed.rule.name());
    }
}
