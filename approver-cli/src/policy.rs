//! `policy`: the rules, before and after they run.

mod explain;
mod files;
mod replay;

use std::path::PathBuf;

use clap::Subcommand;
use vouchsafe_proto::v1::{
    CheckPolicyRequest, PolicyCaseResult, PolicyProblem, ReloadPolicyRequest, ReloadPolicyResponse,
    RuleSummary, ShowPolicyRequest, ShowPolicyResponse, TestPolicyRequest,
};

use self::explain::Explain;
use self::files::{Take, read_files};
use self::replay::Replay;
pub(crate) use self::replay::record as replayed;
use crate::approvals::{factor, factor_words};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::record::Record;
use crate::text::safe_line;
use crate::words;

const RULE_COLUMNS: [Column; 8] = [
    ("RULE", "name"),
    ("RESOURCE", "resource"),
    ("OPERATIONS", "operations"),
    ("APPROVAL", "approval"),
    ("ASKS", "factors"),
    ("LEASE", "lease_default"),
    ("OTHERWISE", "terms"),
    ("FILE", "file"),
];
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read rules as the daemon would at its start; nothing changes
    Check {
        /// Folder with *.toml files, those of a project in the sub-folder of its name; the daemon's
        /// own where not given
        dir: Option<PathBuf>,
    },
    /// Run the cases (*.cases.toml) against the rules beside them
    Test {
        /// Folder with *.toml and *.cases.toml files, those of a project in the sub-folder of its
        /// name; the daemon's own where not given
        dir: Option<PathBuf>,
    },
    Explain(Box<Explain>),
    /// Show the rules in force in a project, and what waits to replace them
    Show,
    Replay(Replay),
    /// Read the daemon's rules again; a set with a mistake is refused whole
    ///
    /// Where the configuration says so, changed rules wait for an approval before they run.
    Reload,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Check { dir } => check(dir, context).await,
        Command::Test { dir } => test(dir, context).await,
        Command::Explain(given) => explain::run(*given, context).await,
        Command::Replay(given) => replay::run(given, context).await,
        Command::Show => show(context).await,
        Command::Reload => reload(context).await,
    }
}

async fn check(dir: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let files = read_files(dir.as_deref(), Take::Rules)?;
    let daemon = context.daemon().await?;
    let answer = daemon.policy().check_policy(CheckPolicyRequest { files }).await?.into_inner();
    let (rules, digest) = (counted(answer.rules, "rule"), safe_line(&answer.digest));
    if context.out.is_json() {
        context.out.record(
            &Record::new()
                .records("problems", answer.problems.iter().map(problem))
                .text("digest", &answer.digest)
                .number("rules", answer.rules),
        )?;
    } else {
        say_problems(&answer.problems, context)?;
        if answer.problems.is_empty() {
            context.out.say(&format!("{rules}, no problems; digest {digest}"))?;
        }
    }
    fault_if(answer.problems.len(), "problem")
}

async fn test(dir: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let files = read_files(dir.as_deref(), Take::RulesAndCases)?;
    let daemon = context.daemon().await?;
    let answer = daemon.policy().test_policy(TestPolicyRequest { files }).await?.into_inner();
    let failed = answer.results.iter().filter(|result| !result.passed).count();
    if context.out.is_json() {
        context.out.record(
            &Record::new()
                .records("problems", answer.problems.iter().map(problem))
                .records("results", answer.results.iter().map(case)),
        )?;
    } else {
        say_problems(&answer.problems, context)?;
        for result in answer.results.iter().filter(|result| !result.passed) {
            context.out.say(&failure(result))?;
        }
        let passed = answer.results.len().saturating_sub(failed);
        context.out.say(&format!("{passed} cases passed, {failed} failed"))?;
    }
    fault_if(answer.problems.len(), "problem")?;
    fault_if(failed, "failed case")
}

async fn show(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ShowPolicyRequest { project: context.project.clone() };
    let answer = daemon.policy().show_policy(request).await?.into_inner();
    let set = set(&answer);
    if context.out.is_json() {
        return context.out.record(
            &set.records("rules", answer.rules.iter().map(summary))
                .records("problems", answer.problems.iter().map(problem)),
        );
    }
    context.out.record(&set)?;
    context.out.say("")?;
    let rules: Vec<Record> = answer.rules.iter().map(row).collect();
    context.out.list(&RULE_COLUMNS, &rules, "no rules: everything is refused")?;
    let observed = answer.rules.iter().filter(|rule| rule.observed);
    let observed: Vec<String> =
        observed.map(|rule| format!("\"{}\"", safe_line(&rule.name))).collect();
    if !observed.is_empty() {
        let names = observed.join(", ");
        context.out.say(&format!("\nOBSERVED ONLY, they let through what they match: {names}"))?;
    }
    if !answer.held_approval_id.is_empty() {
        let id = safe_line(&answer.held_approval_id);
        let digest = safe_line(&answer.held_digest);
        context.out.say(&format!(
            "\nchanged rules, digest {digest}, wait for {id}: see `vouchsafe approvals show {id}`"
        ))?;
    }
    if !answer.problems.is_empty() {
        context.out.say("\nthe last reload was refused; the rules above run on:")?;
        say_problems(&answer.problems, context)?;
    }
    Ok(())
}

async fn reload(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.policy().reload_policy(ReloadPolicyRequest {}).await?.into_inner();
    if context.out.is_json() {
        context.out.record(
            &Record::new()
                .records("problems", answer.problems.iter().map(problem))
                .text("digest", &answer.digest)
                .flag("changed", answer.changed)
                .number("rules", answer.rules)
                .number("approvals_superseded", answer.approvals_superseded)
                .text("held_approval_id", &answer.held_approval_id),
        )?;
    } else if answer.problems.is_empty() {
        context.out.say(&reloaded(&answer))?;
    } else {
        say_problems(&answer.problems, context)?;
    }
    match answer.problems.len() {
        0 => Ok(()),
        1 => Err(CliError::fault("1 problem; the rules before run on")),
        count => Err(CliError::fault(format!("{count} problems; the rules before run on"))),
    }
}

/// What became of rules without a mistake.
fn reloaded(answer: &ReloadPolicyResponse) -> String {
    let (rules, digest) = (counted(answer.rules, "rule"), safe_line(&answer.digest));
    if !answer.held_approval_id.is_empty() {
        let id = safe_line(&answer.held_approval_id);
        return format!(
            "held: {rules}, digest {digest}, until {id} is approved; the rules before run on\n\
             somebody else answers it with `vouchsafe approve {id}`"
        );
    }
    let change = if answer.changed { "the new rules run" } else { "nothing changed" };
    let superseded = counted(answer.approvals_superseded, "pending approval");
    format!("{change}: {rules}, digest {digest}; {superseded} ended")
}

/// "1 rule", "2 rules".
fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn fault_if(count: usize, what: &str) -> Result<(), CliError> {
    match count {
        0 => Ok(()),
        1 => Err(CliError::fault(format!("1 {what}"))),
        count => Err(CliError::fault(format!("{count} {what}s"))),
    }
}

fn say_problems(problems: &[PolicyProblem], context: &Context) -> Result<(), CliError> {
    for problem in problems {
        let place = match problem.line {
            0 => safe_line(&problem.file),
            line => format!("{}:{line}", safe_line(&problem.file)),
        };
        let message = safe_line(&problem.message);
        context.out.say(&format!("{place}: {message}"))?;
        if !problem.mend.is_empty() {
            context.out.say(&format!("  mend: {}", safe_line(&problem.mend)))?;
        }
    }
    Ok(())
}

fn failure(result: &PolicyCaseResult) -> String {
    format!(
        "{}: case \"{}\" failed\n  expected: {}\n  got:      {}",
        safe_line(&result.file),
        safe_line(&result.name),
        safe_line(&result.expected),
        safe_line(&result.got)
    )
}

fn problem(problem: &PolicyProblem) -> Record {
    Record::new()
        .text("file", &problem.file)
        .number("line", problem.line)
        .text("message", &problem.message)
        .text("mend", &problem.mend)
}

fn case(result: &PolicyCaseResult) -> Record {
    Record::new()
        .text("file", &result.file)
        .text("name", &result.name)
        .flag("passed", result.passed)
        .text("expected", &result.expected)
        .text("got", &result.got)
}

fn set(answer: &ShowPolicyResponse) -> Record {
    Record::new()
        .text("project", &answer.project)
        .text("digest", &answer.digest)
        .text("source", &answer.source)
        .time("loaded_at", answer.loaded_at)
        .text("held_approval_id", &answer.held_approval_id)
        .text("held_digest", &answer.held_digest)
}

fn summary(rule: &RuleSummary) -> Record {
    Record::new()
        .text("name", &rule.name)
        .text("file", &rule.file)
        .number("line", rule.line)
        .text("resource", &rule.resource)
        .texts("operations", rule.operations.iter().map(|operation| words::operation(*operation)))
        .text("approval", &rule.approval)
        .records("factors", rule.factors.iter().map(factor))
        .span("lease_default", rule.lease_default)
        .span("lease_max", rule.lease_max)
        .number("uses", rule.uses)
        .flag("observed", rule.observed)
        .texts("terms", &rule.terms)
}

/// What fits on a line.
fn row(rule: &RuleSummary) -> Record {
    let approval =
        if rule.observed { format!("{} (OBSERVED)", rule.approval) } else { rule.approval.clone() };
    let factors: Vec<String> = rule.factors.iter().map(factor_words).collect();
    Record::new()
        .text("name", &rule.name)
        .text("file", placed(&rule.file, rule.line, true))
        .text("resource", &rule.resource)
        .texts("operations", rule.operations.iter().map(|operation| words::operation(*operation)))
        .text("approval", approval)
        .text("factors", factors.join("; "))
        .span("lease_default", rule.lease_default)
        .text("terms", rule.terms.join("; "))
}

/// `place` joins file and line, for people.
fn placed(file: &str, line: u32, place: bool) -> String {
    if place && line != 0 { format!("{file}:{line}") } else { file.to_owned() }
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::Factor;

    use super::*;

    #[test]
    fn a_held_set_names_its_approval() {
        let mut answer = ReloadPolicyResponse {
            digest: "ab".to_owned(),
            rules: 3,
            changed: true,
            ..ReloadPolicyResponse::default()
        };
        assert_eq!(
            reloaded(&answer),
            "the new rules run: 3 rules, digest ab; 0 pending approvals ended"
        );
        answer.held_approval_id = "ap_1".to_owned();
        let told = reloaded(&answer);
        assert!(
            told.starts_with("held: 3 rules, digest ab, until ap_1 is approved; the rules before")
        );
        assert!(told.ends_with("`vouchsafe approve ap_1`"));
    }

    #[test]
    fn an_observed_rule_is_loud_in_its_row() {
        let rule = RuleSummary {
            approval: "required".to_owned(),
            observed: true,
            factors: vec![
                Factor { from: vec!["group:a".to_owned()], count: 1, met: 0 },
                Factor { from: vec!["group:b".to_owned()], count: 2, met: 0 },
            ],
            ..RuleSummary::default()
        };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(row(&rule).cell("approval", now), "required (OBSERVED)");
        assert_eq!(row(&rule).cell("factors", now), "1 of group:a; 2 of group:b");
    }
}
