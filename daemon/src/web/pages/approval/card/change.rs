//! A change of a secret or of the rules: what it was, what it would be, what came of it. Never a
//! value.

use serde_json::Value;
use vouchsafe_core::approval::{Applied, Approval, Ask, Change};
use vouchsafe_core::resource::Resource;

use super::{Line, SECRETS, first, mono, plain, shown, soft};

/// Characters of a digest that tell values apart.
const DIGEST_CHARS: usize = 17;
/// Lines of a public key: RSA with 4096 bits has 14.
const KEY_LINES_MAX: usize = 20;

/// Whether it is about the rules themselves.
pub(super) fn is_of_rules(ask: &Ask) -> bool {
    ask.items.iter().any(|item| item.resource == Resource::Policy)
}

/// What is done, in words; none: what the operation says.
pub(super) fn wants(ask: &Ask) -> Option<String> {
    if is_of_rules(ask) {
        return Some("change".to_owned());
    }
    let change = ask.change.as_ref()?;
    Some(match (change.proposed().is_some(), version(ask)) {
        (true, 0) => "create".to_owned(),
        (true, from) => format!("write version {} of", from.saturating_add(1)),
        (false, _) => "delete".to_owned(),
    })
}

/// What changes, a line each.
pub(super) fn lines(ask: &Ask) -> Vec<Line> {
    match &ask.change {
        Some(change) => of_secret(ask, change),
        None if is_of_rules(ask) => of_rules(&ask.arguments).unwrap_or_default(),
        None => Vec::new(),
    }
}

/// What came of it, where there is more to say than that it was approved.
pub(super) fn outcome(approval: &Approval) -> Vec<Line> {
    let reason = shown(&approval.outcome_reason());
    let Approval::Approved(approved) = approval else {
        return if reason.is_empty() { Vec::new() } else { vec![first(reason)] };
    };
    match approved.applied {
        None => Vec::new(),
        Some(Applied::Written { version, .. }) => {
            vec![first(format!("Written as version {version}"))]
        }
        Some(Applied::Deleted { version, .. }) => {
            vec![first(format!("Deleted; version {version} was the last"))]
        }
        Some(Applied::Conflict { .. }) => conflict(&approved.ask, reason),
    }
}

fn conflict(ask: &Ask, reason: String) -> Vec<Line> {
    let mut lines = vec![first(reason)];
    let writes = ask.change.as_ref().is_some_and(|change| change.proposed().is_some());
    let path = ask.items.first().map(|item| item.resource.to_string()).unwrap_or_default();
    if writes {
        let path = path.strip_prefix(SECRETS).unwrap_or_default();
        let project = match ask.project_name.as_str() {
            "default" => String::new(),
            project => format!(" --project {project}"),
        };
        lines.push(soft("The value is kept for a while; to store it all the same:".to_owned()));
        let id = ask.id;
        lines.push(mono(format!("vouchsafe secrets put {path}{project} --from-approval {id}")));
    } else {
        lines.push(soft("The agent can ask again, for the secret as it is now".to_owned()));
    }
    lines
}

fn of_secret(ask: &Ask, change: &Change) -> Vec<Line> {
    let from = version(ask);
    let Some(proposed) = change.proposed() else {
        let text = format!("Version {from} is the last one; it can be undeleted for a while");
        return vec![plain(text)];
    };
    let differences = change.differences();
    let mut lines = vec![first(match from {
        0 => "There is none → version 1".to_owned(),
        _ => format!("Version {from} → {}", from.saturating_add(1)),
    })];
    let made = match &proposed.facts.generator {
        Some(generator) => generator.to_string(),
        None => "given".to_owned(),
    };
    for (what, now) in [("bytes", proposed.facts.bytes.to_string()), ("made", made)] {
        match differences.iter().find(|(name, ..)| *name == what) {
            Some((_, before, _)) if !before.is_empty() => {
                lines.push(plain(differs(what, before, &now)));
            }
            Some(_) => lines.push(plain(format!("{what}: {}", shown(&now)))),
            None => lines.push(plain(format!("{what}: {}, as before", shown(&now)))),
        }
    }
    let others = differences.iter().filter(|(what, ..)| !matches!(*what, "bytes" | "made"));
    lines.extend(others.map(|(what, before, after)| plain(differs(what, before, after))));
    let digest: String = proposed.digest.to_string().chars().take(DIGEST_CHARS).collect();
    lines.push(soft(format!("Value digest {digest}… (keyed; of this ask alone)")));
    if let Some(key) = &proposed.public_key {
        lines.push(plain("Public key".to_owned()));
        lines.extend(key.lines().take(KEY_LINES_MAX).map(|line| mono(shown(line))));
    }
    lines
}

fn differs(what: &str, before: &str, after: &str) -> String {
    let [before, after] = [before, after].map(|text| match text {
        "" => "none".to_owned(),
        text => shown(text),
    });
    format!("{what}: {before} → {after}")
}

/// A change of the rules as a diff, all of it; none where the arguments are no such change.
fn of_rules(arguments: &str) -> Option<Vec<Line>> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    let diff = arguments.get("diff")?.as_str()?;
    let digest = |name| {
        let digest = arguments.get(name).and_then(Value::as_str).unwrap_or("?");
        shown(&digest.chars().take(12).collect::<String>())
    };
    let mut lines =
        vec![soft(format!("From rules {}… to rules {}…", digest("from"), digest("to")))];
    if let Some(files) = arguments.get("files").and_then(Value::as_array) {
        let names: Vec<String> = files.iter().map(file_name).collect();
        lines.push(soft(format!("Files: {}", names.join(", "))));
    }
    lines.extend(diff.lines().map(|line| {
        let class = match line.as_bytes().first() {
            Some(b'+') => "diff add",
            Some(b'-') => "diff take",
            _ => "diff",
        };
        Line { text: shown(&line.replace('\t', "    ")), class }
    }));
    Some(lines)
}

fn file_name(file: &Value) -> String {
    match file.as_str().or_else(|| file.get("name").and_then(Value::as_str)) {
        Some(name) => shown(name),
        None => shown(&file.to_string()),
    }
}

fn version(ask: &Ask) -> u64 {
    ask.items.first().map_or(0, |item| item.version)
}
