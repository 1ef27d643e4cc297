//! What changes between two sets of policy files, as people read it.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::json;
use similar::TextDiff;
use vouchsafe_core::policy::PolicyFile;

/// How much of a difference is shown, in bytes as JSON has them; of more, the beginning.
const SHOWN_BYTES_MAX: usize = 48 * 1024;
/// Files that are named.
const FILES_NAMED: usize = 100;
/// Lines shown around each change.
const CONTEXT: usize = 3;

/// The difference between two sets of files.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    text: String,
    /// The files that are not the same, 100 at most.
    pub(super) files: Vec<String>,
}

impl Difference {
    /// From `before` to `after`, as a unified diff a file.
    pub(super) fn between(before: &[PolicyFile], after: &[PolicyFile]) -> Self {
        let named = |files: &'_ [PolicyFile]| -> BTreeMap<String, String> {
            files.iter().map(|file| (file.name.clone(), file.text.clone())).collect()
        };
        let (before, after) = (named(before), named(after));
        let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let (mut text, mut files) = (String::new(), Vec::new());
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                continue;
            }
            let side = |text: Option<&String>, side: &str| match text {
                Some(_) => format!("{side}/{name}"),
                None => "/dev/null".to_owned(),
            };
            let (from, to) = (side(old, "a"), side(new, "b"));
            let (old, new) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
            let diff = TextDiff::from_lines(old, new);
            text.push_str(
                &diff.unified_diff().context_radius(CONTEXT).header(&from, &to).to_string(),
            );
            files.push(name.clone());
        }
        files.truncate(FILES_NAMED);
        Self { text, files }
    }

    /// What the approval of it shows: canonical JSON (RFC 8785), within what an ask's arguments may
    /// be. A long difference is cut, and says so with the SHA-256 of all of it; `to` is the digest
    /// of all files, so that what is approved is exact all the same.
    pub(super) fn arguments(&self, from: &str, to: &str) -> String {
        let arguments = json!({
            "diff": self.shown(),
            "files": self.files,
            "from": from,
            "to": to,
        });
        // Text and lists of it: there is nothing in it that has no canonical form.
        serde_json_canonicalizer::to_string(&arguments).unwrap_or_default()
    }

    fn shown(&self) -> String {
        let mut bytes = 0;
        let mut end = 0;
        for line in self.text.split_inclusive('\n') {
            bytes += written(line);
            if bytes > SHOWN_BYTES_MAX {
                break;
            }
            end += line.len();
        }
        let shown = self.text.get(..end).unwrap_or_default();
        if end == self.text.len() {
            return shown.to_owned();
        }
        let hash = HEXLOWER.encode(digest(&SHA256, self.text.as_bytes()).as_ref());
        let rest = self.text.len().saturating_sub(end);
        format!("{shown}... cut: {rest} bytes more; SHA-256 of the whole difference: {hash}\n")
    }
}

/// How many bytes a text takes in JSON.
fn written(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PolicyFile {
        PolicyFile { name: name.to_owned(), text: text.to_owned() }
    }

    fn diff(before: &[PolicyFile], after: &[PolicyFile]) -> serde_json::Value {
        let arguments = Difference::between(before, after).arguments("one", "two");
        serde_json::from_str(&arguments).unwrap()
    }

    #[test]
    fn each_file_that_is_not_the_same_is_shown() {
        let before = [file("a.toml", "x\ny\n"), file("b.toml", "same\n"), file("c.toml", "gone\n")];
        let after =
            [file("b.toml", "same\n"), file("a.toml", "x\nz\n"), file("shop/d.toml", "new\n")];
        let shown = diff(&before, &after);
        assert_eq!(shown["files"], json!(["a.toml", "c.toml", "shop/d.toml"]));
        assert_eq!(
            shown["diff"],
            "--- a/a.toml\n+++ b/a.toml\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n\
             --- a/c.toml\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n\
             --- /dev/null\n+++ b/shop/d.toml\n@@ -0,0 +1 @@\n+new\n"
        );
        assert_eq!((&shown["from"], &shown["to"]), (&json!("one"), &json!("two")));
    }

    #[test]
    fn a_long_difference_is_cut_at_a_line_and_says_so() {
        let long = "\"quoted\"\n".repeat(20_000);
        let difference = Difference::between(&[], &[file("a.toml", &long)]);
        let arguments = difference.arguments("one", "two");
        assert!(arguments.len() < 64 * 1024, "{}", arguments.len());
        let shown: serde_json::Value = serde_json::from_str(&arguments).unwrap();
        let shown = shown["diff"].as_str().unwrap();
        let (lines, mark) = shown.trim_end().rsplit_once('\n').unwrap();
        assert!(lines.ends_with("+\"quoted\""), "whole lines");
        assert!(mark.starts_with("... cut: "), "{mark}");
        let hash = HEXLOWER.encode(digest(&SHA256, difference.text.as_bytes()).as_ref());
        assert!(mark.ends_with(&hash), "{mark}");
    }

    #[test]
    fn one_line_longer_than_may_be_shown_is_not_shown() {
        let long = "x".repeat(200_000);
        let shown = diff(&[], &[file("a.toml", &long)]);
        assert!(shown["diff"].as_str().unwrap().contains("... cut: "));
        assert!(shown.to_string().len() < 1_000);
    }
}
