use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::policy::{
    Directory, FILE_BYTES_MAX, FILES_MAX, Member, Options, parse_cases, run_cases,
};

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
    let loaded = |source: &str| Arc::new(Loaded::nothing(source, UnixTime::from_ms(0)));
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

/// Rules of one name each, so that their digests are told apart.
fn rules(name: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nresource = \"vouchsafe://secrets/{name}/*\"\napproval = \"none\"\n"
    )
}

fn file(name: &str, text: impl Into<String>) -> PolicyFile {
    PolicyFile { name: name.to_owned(), text: text.into() }
}

/// These projects; `-old` is archived.
fn projects(names: &[&str]) -> Vec<Members> {
    let id = |index: usize| ProjectId::from_random([u8::try_from(index).unwrap(); 10]);
    let members = |(index, name): (usize, &&str)| Members {
        id: id(index),
        project: (*name).to_owned(),
        archived: name.ends_with("-old"),
        people: fresh_home(),
    };
    names.iter().enumerate().map(members).collect()
}

fn loaded(files: Vec<PolicyFile>, names: &[&str]) -> Result<Loaded, Vec<String>> {
    let folder = Folder::of_files(files);
    let sets = parse(&folder, &projects(names), &Options::default());
    let sets =
        sets.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(Loaded::new(sets, folder.rules, "here", UnixTime::from_ms(0)))
}

#[test]
fn the_files_of_a_project_are_in_the_folder_of_its_name() {
    let folder = folder(&[("a.toml", b"# default")]);
    for name in ["shop", "shop/deep", ".git"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in ["shop/b.toml", "shop/b.cases.toml", "shop/deep/c.toml", ".git/d.toml"] {
        fs::write(folder.path().join(name), "# shop").unwrap();
    }
    let read = read_dir(folder.path()).unwrap();
    assert_eq!(names(&read.rules), ["a.toml", "shop/b.toml"]);
    assert_eq!(names(&read.cases), ["shop/b.cases.toml"]);
    assert_eq!(read.folders.iter().collect::<Vec<_>>(), ["shop"]);
    assert_eq!((project_of("a.toml"), project_of("shop/b.toml")), ("default", "shop"));
    let without = read.without(|project| project == "shop");
    assert_eq!((names(&without.rules), without.folders.len()), (vec!["a.toml"], 0));
}

#[test]
fn each_project_has_its_own_rules_and_none_of_another() {
    let files = vec![file("a.toml", rules("one")), file("shop/a.toml", rules("two"))];
    let loaded = loaded(files, &["default", "shop", "empty"]).unwrap();
    let names = |project: &str| -> Vec<String> {
        loaded.of(project).rules().iter().map(|placed| placed.rule.name().to_string()).collect()
    };
    assert_eq!((names("default"), names("shop")), (vec!["one".to_owned()], vec!["two".to_owned()]));
    assert_eq!((names("empty").len(), names("nowhere").len(), loaded.count()), (0, 0, 2));
    let all: Vec<_> = loaded.rules().map(|(project, _)| project).collect();
    assert_eq!(all, ["default", "shop"]);
}

#[test]
fn a_folder_of_no_project_is_a_problem_and_one_of_an_archived_project_is_none() {
    let files = |folder: &str| vec![file(&format!("{folder}/a.toml"), "")];
    assert_eq!(
        loaded(files("shop"), &["default"]).unwrap_err(),
        [
            "shop: there is no project `shop`; make it with `vouchsafe projects create`, or take its \
          folder away"
        ]
    );
    assert_eq!(
        loaded(files("default"), &["default"]).unwrap_err(),
        ["default: the rules of the project `default` are not in a folder of that name; move its \
          files up, beside the folders of the other projects"]
    );
    assert!(
        loaded(files("shop/deeper"), &["default", "shop"]).unwrap_err()[0].contains("move it up")
    );
    assert_eq!(loaded(files("shop-old"), &["default", "shop-old"]).unwrap().count(), 0);
}

#[test]
fn problems_name_the_file_with_its_folder() {
    let problems = loaded(vec![file("shop/a.toml", "[[rule]]\nnme = 1\n")], &["default", "shop"]);
    let problems = problems.unwrap_err();
    assert!(problems[0].starts_with("shop/a.toml:1: "), "{problems:?}");
}

#[test]
fn the_digest_of_rules_is_over_all_projects() {
    let one = || file("a.toml", rules("one"));
    let alone = loaded(vec![one()], &["default", "shop"]).unwrap();
    assert_eq!(alone.digest(), alone.of("default").digest().to_string());
    let digest = |files: Vec<PolicyFile>| loaded(files, &["default", "shop", "trade"]).unwrap();
    let shop = digest(vec![one(), file("shop/a.toml", rules("two"))]);
    let trade = digest(vec![one(), file("trade/a.toml", rules("two"))]);
    assert_ne!(shop.digest(), alone.digest());
    assert_ne!(shop.digest(), trade.digest());
}

#[test]
fn the_digest_of_files_is_over_each_byte_of_names_and_texts() {
    let digest = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| file(name, *text)).collect();
        Folder::of_files(files).digest()
    };
    let digests = [
        digest(&[]),
        digest(&[("a.toml", "")]),
        digest(&[("a.toml", "b")]),
        digest(&[("a.tomlb", "")]),
        digest(&[("a.toml", "b # comment")]),
        digest(&[("a.toml", ""), ("b", "")]),
    ];
    let different: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(different.len(), digests.len());
    assert_eq!(digest(&[("a", "1"), ("b", "2")]), digest(&[("b", "2"), ("a", "1")]));
    assert_eq!(digest(&[("a.cases.toml", "cases are no rules")]), digest(&[]));
}

#[test]
fn a_reading_is_another_one_where_the_projects_are_others() {
    let folder = Folder::of_files(vec![file("a.toml", rules("one"))]);
    let seen = |names: &[&str]| Seen::of(&folder, &projects(names));
    assert_eq!(seen(&["default"]), seen(&["default", "shop-old"]));
    assert_ne!(seen(&["default"]), seen(&["default", "shop"]));
}

#[test]
fn a_stamp_tells_of_changes_behind_links() {
    let folder = folder(&[]);
    let at = |name: &str| folder.path().join(name);
    for (name, text) in [("..one", "1"), ("..two", "2")] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("a.toml"), text).unwrap();
    }
    // As Kubernetes mounts a ConfigMap: files are links through one link, which is swapped.
    symlink("..one", at("..data")).unwrap();
    symlink("..data/a.toml", at("a.toml")).unwrap();
    let before = Stamp::of(folder.path());
    assert_eq!(before, Stamp::of(folder.path()));
    assert_eq!(read_dir(folder.path()).unwrap().rules[0].text, "1");
    symlink("..two", at("..next")).unwrap();
    fs::rename(at("..next"), at("..data")).unwrap();
    assert_ne!(before, Stamp::of(folder.path()));
    assert_eq!(read_dir(folder.path()).unwrap().rules[0].text, "2");
}

#[test]
fn the_rules_we_ship_load_in_a_fresh_home_and_pass_their_cases() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let folder = read_dir(&shipped).unwrap();
    let set = vouchsafe_core::policy::parse(&folder.rules, &fresh_home(), &Options::default());
    let set = set.unwrap();
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
