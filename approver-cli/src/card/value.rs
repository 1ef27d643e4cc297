//! A change of a secret: what it was, what it would be, and what came of it. Never a value.

use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::generator::Kind;
use vouchsafe_proto::v1::{Approval, Change, Difference, Generator};

use crate::text::{safe_line, shortened};

/// What secrets' resources begin with.
const SECRETS: &str = "vouchsafe://secrets/";
/// Characters of a digest that tell values apart.
const DIGEST_CHARS: usize = 17;
/// Lines of a public key: RSA with 4096 bits has 14.
const KEY_LINES_MAX: usize = 20;

/// What is done, in words.
pub(super) fn wants(change: &Change) -> String {
    match (change.writes, change.from_version) {
        (true, 0) => "create this".to_owned(),
        (true, from) => format!("write version {} of this", from.saturating_add(1)),
        (false, _) => "delete this".to_owned(),
    }
}

/// What changes, a line each.
pub(super) fn lines(change: &Change) -> Vec<String> {
    let from = change.from_version;
    if !change.writes {
        return vec![format!("version {from} is the last one; it can be undeleted for a while")];
    }
    let mut lines = vec![match from {
        0 => "there is none -> version 1".to_owned(),
        _ => format!("version {from} -> {}", from.saturating_add(1)),
    }];
    for (what, now) in [("bytes", change.bytes.to_string()), ("made", made(change))] {
        match change.differences.iter().find(|difference| difference.what == what) {
            Some(difference) if !difference.before.is_empty() => lines.push(differs(difference)),
            Some(_) => lines.push(format!("{what}: {now}")),
            None => lines.push(format!("{what}: {now}, as before")),
        }
    }
    let others = change.differences.iter();
    let others = others.filter(|it| !matches!(it.what.as_str(), "bytes" | "made"));
    lines.extend(others.map(differs));
    let digest = shortened(&safe_line(&change.value_digest), DIGEST_CHARS);
    lines.push(format!("value digest: {digest} (keyed; of this ask alone)"));
    if !change.public_key.is_empty() {
        lines.push("public key:".to_owned());
        lines.extend(change.public_key.lines().take(KEY_LINES_MAX).map(safe_line));
    }
    lines
}

/// How a value is made.
pub(crate) fn made(change: &Change) -> String {
    if !change.writes {
        return String::new();
    }
    change.generator.as_ref().map_or_else(|| "given".to_owned(), generator)
}

/// What came of it, once it was approved: a label, and lines.
pub(crate) fn applied(approval: &Approval) -> Option<(&'static str, Vec<String>)> {
    let applied = approval.applied?;
    let version = applied.version;
    Some(match applied.outcome() {
        Outcome::Written => ("applied", vec![format!("written as version {version}")]),
        Outcome::Deleted => ("applied", vec![format!("deleted; version {version} was the last")]),
        Outcome::Conflict => ("CONFLICT", conflict(approval, version)),
        Outcome::Unspecified => return None,
    })
}

fn conflict(approval: &Approval, version: u64) -> Vec<String> {
    let found = match version {
        0 => "the secret was not there any more".to_owned(),
        version => format!("the secret was at version {version} by then"),
    };
    let mut lines = vec![format!("nothing was changed: {found}")];
    let item = approval.items.first();
    let path = item.and_then(|item| item.resource.strip_prefix(SECRETS)).unwrap_or_default();
    if approval.change.as_ref().is_some_and(|change| change.writes) {
        let (path, id) = (safe_line(path), safe_line(&approval.id));
        let project = match approval.project.as_str() {
            "" | "default" => String::new(),
            project => format!(" --project {}", safe_line(project)),
        };
        lines.push("the value is kept for a while; to store it all the same:".to_owned());
        lines.push(format!("vouchsafe secrets put {path}{project} --from-approval {id}"));
    } else {
        lines.push("the agent can ask again, for the secret as it is now".to_owned());
    }
    lines
}

fn differs(difference: &Difference) -> String {
    let [what, before, after] =
        [&difference.what, &difference.before, &difference.after].map(|text| {
            let text = safe_line(text);
            if text.is_empty() { "none".to_owned() } else { text }
        });
    format!("{what}: {before} -> {after}")
}

/// As the daemon words it in differences.
fn generator(generator: &Generator) -> String {
    match &generator.kind {
        Some(Kind::Password(password)) => {
            let length = if password.length == 0 { 32 } else { password.length };
            let alphabet = match (password.characters.as_str(), password.alphabet.as_str()) {
                ("", "") => "alphanumeric".to_owned(),
                ("", alphabet) => safe_line(alphabet),
                (characters, _) => format!("of `{}`", safe_line(characters)),
            };
            format!("password of {length} characters ({alphabet})")
        }
        Some(Kind::Passphrase(phrase)) => {
            let words = if phrase.words == 0 { 8 } else { phrase.words };
            format!("passphrase of {words} words")
        }
        Some(Kind::Uuid(_)) => "UUID".to_owned(),
        Some(Kind::Ed25519(_)) => "Ed25519 key pair".to_owned(),
        Some(Kind::Rsa(rsa)) => {
            let bits = if rsa.bits == 0 { 3072 } else { rsa.bits };
            format!("RSA key pair of {bits} bits")
        }
        None => "in a way that this program does not know".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::{Applied, Ed25519Kind};

    use super::super::tests::write;
    use super::*;

    #[test]
    fn a_first_version_has_nothing_before_it() {
        let change = Change {
            writes: true,
            bytes: 119,
            generator: Some(Generator { kind: Some(Kind::Ed25519(Ed25519Kind {})) }),
            public_key: "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n".to_owned(),
            value_digest: "ab".repeat(32),
            differences: vec![Difference {
                what: "bytes".to_owned(),
                before: String::new(),
                after: "119".to_owned(),
            }],
            ..Change::default()
        };
        assert_eq!(wants(&change), "create this");
        assert_eq!(
            lines(&change),
            [
                "there is none -> version 1",
                "bytes: 119",
                "made: Ed25519 key pair, as before",
                "value digest: abababababababab… (keyed; of this ask alone)",
                "public key:",
                "-----BEGIN PUBLIC KEY-----",
                "MCow",
                "-----END PUBLIC KEY-----",
            ]
        );
    }

    #[test]
    fn a_conflict_says_what_to_do() {
        let mut write = write();
        write.applied = Some(Applied { outcome: Outcome::Conflict.into(), version: 5 });
        let (label, lines) = applied(&write).unwrap();
        assert_eq!(label, "CONFLICT");
        assert_eq!(
            lines,
            [
                "nothing was changed: the secret was at version 5 by then",
                "the value is kept for a while; to store it all the same:",
                "vouchsafe secrets put production/DATABASE_URL --from-approval ap_7k3m0000deadbeef",
            ]
        );
        write.change = Some(Change { from_version: 3, ..Change::default() });
        let (_, lines) = applied(&write).unwrap();
        assert!(lines[1].starts_with("the agent can ask again"), "{lines:?}");
    }

    #[test]
    fn what_came_of_it_is_told() {
        let mut write = write();
        assert_eq!(applied(&write), None);
        write.applied = Some(Applied { outcome: Outcome::Written.into(), version: 4 });
        assert_eq!(applied(&write).unwrap().1, ["written as version 4"]);
        write.applied = Some(Applied { outcome: Outcome::Deleted.into(), version: 3 });
        assert_eq!(applied(&write).unwrap().1, ["deleted; version 3 was the last"]);
    }
}
