//! `approvals suggest`: rules for what people always approve.

use clap::Args;
use vouchsafe_proto::v1::{
    ReplayChange, ReplayPolicyResponse, SuggestRulesRequest, SuggestRulesResponse, SuggestedRule,
};

use crate::context::Context;
use crate::error::CliError;
use crate::output;
use crate::policy;
use crate::record::Record;
use crate::text::safe_line;
use crate::time::{self, Time};
use crate::words;

/// Changes that are told of one suggestion.
const CHANGES_MAX: usize = 10;

/// Suggest rules for what people always approve, as TOML.
///
/// A rule is suggested for what a key asked for often and nobody ever denied, with what it would
/// have changed in that time. It spares that key that one question, and everybody else is asked as
/// before. Nothing is suggested for deletions, and nothing where a rule asks for more than one
/// person. Nothing is changed: put what you agree with into a policy file.
#[derive(Args, Debug)]
pub(super) struct Suggest {
    /// Asks since then: 30m, 7d, or an RFC 3339 time [default: 30d]
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
    /// Approved so often at least
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    min: u32,
}

pub(super) async fn run(suggest: Suggest, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = SuggestRulesRequest {
        project: context.project.clone(),
        since: suggest.since.map(time::to_proto),
        min_asks: suggest.min,
    };
    let answer = daemon.approvals().suggest_rules(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(
            &Record::new()
                .records("rules", answer.rules.iter().map(record))
                .flag("cut", answer.cut),
        );
    }
    context.out.say(told(&answer).trim_end())?;
    if answer.cut {
        output::note("only the newest approvals were looked at: there are more");
    }
    Ok(())
}

/// All of it as a policy file.
fn told(answer: &SuggestRulesResponse) -> String {
    if answer.rules.is_empty() {
        return "# nothing to suggest: no key asked so often for what was never denied".to_owned();
    }
    let mut file = String::from(
        "# Put what you agree with into a policy file. `vouchsafe policy check` reads it, and\n\
         # `vouchsafe policy reload` puts it in force.\n",
    );
    for rule in &answer.rules {
        file.push('\n');
        file.push_str(&rule.toml);
        for line in rule.replay.iter().flat_map(replayed) {
            file.extend(["# ", &line, "\n"]);
        }
    }
    file
}

/// What the rule would have changed, a line each.
fn replayed(replay: &ReplayPolicyResponse) -> Vec<String> {
    let (others, renamed): (Vec<_>, Vec<_>) =
        replay.changes.iter().partition(|change| change.was != change.now);
    let count = |changes: &[&ReplayChange]| changes.iter().map(|change| change.asks).sum::<u32>();
    let (changed, renamed) = (count(&others), count(&renamed));
    let mut lines = vec![format!(
        "Of {} asks in that time it would have decided {changed} otherwise{}",
        replay.asks,
        if changed == 0 { "." } else { ":" },
    )];
    lines.extend(others.iter().take(CHANGES_MAX).map(|change| told_change(change)));
    if others.len() > CHANGES_MAX {
        lines.push("  and more".to_owned());
    }
    if renamed > 0 {
        lines.push(format!("and {renamed} as before, in the place of the rule above."));
    }
    lines
}

fn told_change(change: &ReplayChange) -> String {
    let [key, resource, was, now] =
        [&change.key, &change.resource, &change.was, &change.now].map(|text| safe_line(text));
    let operation = words::operation(change.operation);
    let asks = change.asks;
    format!("  {asks} x {operation} {resource} for {key}: {was} -> {now}")
}

fn record(rule: &SuggestedRule) -> Record {
    Record::new()
        .text("name", &rule.name)
        .text("toml", &rule.toml)
        .text("key", &rule.key)
        .text("resource", &rule.resource)
        .text("operation", words::operation(rule.operation))
        .number("asks", rule.asks)
        .time("first_at", rule.first_at)
        .time("last_at", rule.last_at)
        .texts("approved_by", &rule.approved_by)
        .with_record("replay", rule.replay.as_ref().map(policy::replayed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(operation: i32, asks: u32, was: &str, now: &str) -> ReplayChange {
        ReplayChange {
            key: "claude".to_owned(),
            resource: "vouchsafe://secrets/production/DB".to_owned(),
            operation,
            was: was.to_owned(),
            was_rule: "Production".to_owned(),
            now: now.to_owned(),
            now_rule: "claude may read production/DB".to_owned(),
            asks,
            last_at: None,
        }
    }

    #[test]
    fn what_is_printed_is_a_policy_file_with_its_grounds() {
        let changes = vec![change(3, 12, "asks", "approves"), change(2, 2, "asks", "asks")];
        let replay =
            ReplayPolicyResponse { asks: 40, same: 26, changes, ..ReplayPolicyResponse::default() };
        let rule = SuggestedRule {
            toml: "# grounds\n[[rule]]\nname = \"a\"\n".to_owned(),
            replay: Some(replay),
            ..SuggestedRule::default()
        };
        let answer = SuggestRulesResponse { rules: vec![rule], cut: false };
        let expected = "
# grounds
[[rule]]
name = \"a\"
# Of 40 asks in that time it would have decided 12 otherwise:
#   12 x read vouchsafe://secrets/production/DB for claude: asks -> approves
# and 2 as before, in the place of the rule above.
";
        let printed = told(&answer);
        assert!(printed.ends_with(expected), "{printed}");
        assert!(printed.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn nothing_to_suggest_is_said_as_a_comment() {
        assert!(told(&SuggestRulesResponse::default()).starts_with("# nothing to suggest"));
    }
}
