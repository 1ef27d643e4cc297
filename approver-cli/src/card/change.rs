//! A change of the rules, as a diff that people can read.
//!
//! Its ask is for `vouchsafe://policy`, and its arguments are `{"diff", "from", "to", "files"}`.

use serde_json::Value;
use vouchsafe_proto::v1::{Approval, ApprovalItem};

use crate::text::{safe_line, shortened};

/// The resource that a change of the rules is about.
const POLICY: &str = "vouchsafe://policy";
/// Characters of a digest that tell sets apart.
const DIGEST_CHARS: usize = 12;

/// Whether this is about the rules themselves.
pub(super) fn is_change(approval: &Approval) -> bool {
    approval.items.iter().any(is_about_rules)
}

/// Whether this item of it is.
pub(super) fn is_about_rules(item: &ApprovalItem) -> bool {
    item.resource == POLICY
}

/// The change as lines that are safe to show, all of it; none where the arguments are not such.
pub(super) fn lines(arguments: &str) -> Option<Vec<String>> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    let diff = arguments.get("diff")?.as_str()?;
    let digest = |name| {
        let digest = arguments.get(name).and_then(Value::as_str).unwrap_or("?");
        shortened(&safe_line(digest), DIGEST_CHARS)
    };
    let mut lines = vec![format!("from rules {} to rules {}", digest("from"), digest("to"))];
    if let Some(files) = arguments.get("files").and_then(Value::as_array) {
        let names: Vec<String> = files.iter().map(file_name).collect();
        lines.push(format!("files: {}", names.join(", ")));
    }
    // A tab is layout here, and nothing that steers.
    lines.extend(diff.lines().map(|line| safe_line(&line.replace('\t', "    "))));
    Some(lines)
}

fn file_name(file: &Value) -> String {
    match file.as_str().or_else(|| file.get("name").and_then(Value::as_str)) {
        Some(name) => safe_line(name),
        None => safe_line(&file.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(diff: &str) -> String {
        let (from, to) = ("ab".repeat(32), "cd".repeat(32));
        json!({ "diff": diff, "from": from, "to": to, "files": ["a.toml", "shop/b.toml"] })
            .to_string()
    }

    #[test]
    fn a_change_reads_as_a_diff() {
        let lines = lines(&arguments("--- a.toml\n+++ a.toml\n-quorum = 2\n+quorum\t= 1\n"));
        assert_eq!(
            lines.unwrap(),
            [
                "from rules abababababa… to rules cdcdcdcdcdc…",
                "files: a.toml, shop/b.toml",
                "--- a.toml",
                "+++ a.toml",
                "-quorum = 2",
                "+quorum    = 1",
            ]
        );
    }

    #[test]
    fn no_line_steers_the_terminal_and_none_is_left_out() {
        let long = format!("+{}\n", "x".repeat(1_000));
        let lines = lines(&arguments(&format!("{}+\u{1b}[2J\u{202e}\r\n", long.repeat(30))));
        let lines = lines.unwrap();
        assert_eq!((lines.len(), lines[31].len()), (2 + 31, 1_001));
        assert_eq!(lines[32], "+\\u{1b}[2J\\u{202e}");
    }

    #[test]
    fn other_arguments_are_no_change() {
        for other in ["", "{}", "[]", r#"{"diff": 1}"#] {
            assert_eq!(lines(other), None, "{other}");
        }
    }
}
