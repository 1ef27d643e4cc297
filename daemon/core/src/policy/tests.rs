//! Tables for what rules decide and for what is wrong with files; properties of sets.

mod conditions;
mod decisions;
mod expressions;
mod mistakes;
mod mistakes_asking;
mod mistakes_conditions;
mod notify;
mod properties;
mod suggested;

use super::*;

/// One file, `a.toml`.
fn file(text: &str) -> PolicyFile {
    PolicyFile { name: "a.toml".to_owned(), text: text.to_owned() }
}

fn member(name: &str, enabled: bool, approves: bool, groups: &[&str]) -> Member {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Member { name: name.to_owned(), enabled, approves, groups }
}

/// Two who approve, one who may not sign in, one without the role.
fn directory() -> Directory {
    Directory {
        members: vec![
            member("jane@example.com", true, true, &["oncall", "security"]),
            member("bob", true, true, &["oncall"]),
            member("carl", false, true, &["oncall", "former"]),
            member("dora", true, false, &["oncall", "readers"]),
        ],
    }
}

fn read(text: &str) -> RuleSet {
    parse(&[file(text)], &directory(), &Options::default()).unwrap()
}
