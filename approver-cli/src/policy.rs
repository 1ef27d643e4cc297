//! `policy`: the rules, before and after they run.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    CheckPolicyRequest, ExplainPolicyRequest, ExplainPolicyResponse, PolicyCaseResult, PolicyFile,
    PolicyProblem, ReloadPolicyRequest, RuleMatch, RuleSummary, ShowPolicyRequest,
    TestPolicyRequest,
};

use crate::context::Context;
use crate::error::CliError;
use crate::home;
use crate::output::Column;
use crate::record::Record;
use crate::text::safe_line;
use crate::words::{self, Operation};

const FILES_MAX: usize = 256;
/// All files together; a gRPC message holds 4 MiB.
const FILES_BYTES_MAX: usize = 3 * 1024 * 1024;
const CASES_SUFFIX: &str = ".cases.toml";

const RULE_COLUMNS: [Column; 7] = [
    ("RULE", "name"),
    ("RESOURCE", "resource"),
    ("OPERATIONS", "operations"),
    ("APPROVAL", "approval"),
    ("APPROVERS", "approvers"),
    ("LEASE", "lease_default"),
    ("FILE", "file"),
];
const MATCH_COLUMNS: [Column; 5] =
    [("WINS", "wins"), ("RULE", "rule"), ("PATTERN", "pattern"), ("WHERE", "file"), ("WHY", "why")];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read rules as the daemon would at its start; nothing changes
    Check {
        /// Folder with *.toml files; the daemon's own where not given
        dir: Option<PathBuf>,
    },
    /// Run the cases (*.cases.toml) against the rules beside them
    Test {
        /// Folder with *.toml and *.cases.toml files; the daemon's own where not given
        dir: Option<PathBuf>,
    },
    /// Say what would happen if somebody asked for this now, and why
    Explain(Explain),
    /// Show the rules in force
    Show,
    /// Read the daemon's rules again; a set with a mistake is refused whole
    Reload,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Resource, like `vouchsafe://secrets/production/DATABASE_URL`
    uri: String,
    /// What would be done with it
    #[arg(long, value_enum, value_name = "OPERATION", default_value = "read")]
    operation: Operation,
    /// MCP key that would ask
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Check { dir } => check(dir, context).await,
        Command::Test { dir } => test(dir, context).await,
        Command::Explain(given) => explain(given, context).await,
        Command::Show => show(context).await,
        Command::Reload => reload(context).await,
    }
}

async fn check(dir: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let files = read_files(dir.as_deref(), Take::Rules)?;
    let daemon = context.daemon().await?;
    let answer = daemon.policy().check_policy(CheckPolicyRequest { files }).await?.into_inner();
    let (rules, digest) = (answer.rules, safe_line(&answer.digest));
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
            context.out.say(&format!("{rules} rules, no problems; digest {digest}"))?;
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

async fn explain(given: Explain, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ExplainPolicyRequest {
        project: context.project.clone(),
        resource: given.uri,
        operation: given.operation.to_proto(),
        key: given.key.unwrap_or_default(),
    };
    let answer = daemon.policy().explain_policy(request).await?.into_inner();
    let explained = explanation(&answer);
    if context.out.is_json() {
        let matches = answer.matches.iter().map(|rule| rule_match(rule, false));
        return context.out.record(&explained.records("matches", matches));
    }
    context.out.record(&explained)?;
    let matches: Vec<Record> = answer.matches.iter().map(|rule| rule_match(rule, true)).collect();
    context.out.say("")?;
    context.out.list(&MATCH_COLUMNS, &matches, "no rule matches")
}

async fn show(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.policy().show_policy(ShowPolicyRequest {}).await?.into_inner();
    let set = Record::new()
        .text("digest", &answer.digest)
        .text("source", &answer.source)
        .time("loaded_at", answer.loaded_at);
    if context.out.is_json() {
        return context.out.record(
            &set.records("rules", answer.rules.iter().map(|rule| summary(rule, false)))
                .records("problems", answer.problems.iter().map(problem)),
        );
    }
    context.out.record(&set)?;
    context.out.say("")?;
    let rules: Vec<Record> = answer.rules.iter().map(|rule| summary(rule, true)).collect();
    context.out.list(&RULE_COLUMNS, &rules, "no rules: everything is refused")?;
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
                .number("approvals_superseded", answer.approvals_superseded),
        )?;
    } else if answer.problems.is_empty() {
        let change = if answer.changed { "the new rules run" } else { "nothing changed" };
        let digest = safe_line(&answer.digest);
        let (rules, superseded) = (answer.rules, answer.approvals_superseded);
        context.out.say(&format!(
            "{change}: {rules} rules, digest {digest}; {superseded} pending approvals ended"
        ))?;
    } else {
        say_problems(&answer.problems, context)?;
    }
    match answer.problems.len() {
        0 => Ok(()),
        count => Err(CliError::fault(format!("{count} problems; the rules before run on"))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    Rules,
    RulesAndCases,
}

/// The policy files of a folder in the order of their names; none for no folder.
fn read_files(dir: Option<&Path>, take: Take) -> Result<Vec<PolicyFile>, CliError> {
    let Some(dir) = dir else {
        return Ok(Vec::new());
    };
    let action = format!("reading {}", home::display(dir));
    let failed = |error: std::io::Error| CliError::io(&action, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_toml = entry.path().extension().is_some_and(|extension| extension == "toml");
        let is_case = name.ends_with(CASES_SUFFIX);
        if !is_toml || (is_case && take == Take::Rules) {
            continue;
        }
        let text = fs::read_to_string(entry.path()).map_err(|error| {
            CliError::io(&format!("reading {}", home::display(&entry.path())), &error)
        })?;
        files.push(PolicyFile { name, text });
    }
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if files.len() > FILES_MAX || bytes > FILES_BYTES_MAX {
        return Err(CliError::usage("these are too many rules at once")
            .with_next("a rule set is at most 256 files and 3 MiB"));
    }
    // The daemon would take an empty list as "your own".
    if files.is_empty() {
        return Err(CliError::usage(format!("{} holds no policy files", home::display(dir)))
            .with_next("policy files end in .toml"));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
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

fn explanation(answer: &ExplainPolicyResponse) -> Record {
    Record::new()
        .text("decision", &answer.decision)
        .text("why", &answer.why)
        .texts("approvers", &answer.approvers)
        .number("quorum", answer.quorum)
        .span("lease_default", answer.lease_default)
        .span("lease_max", answer.lease_max)
        .number("uses", answer.uses)
}

/// `place` joins file and line, for people.
fn rule_match(rule: &RuleMatch, place: bool) -> Record {
    Record::new()
        .text("rule", &rule.rule)
        .text("file", placed(&rule.file, rule.line, place))
        .number("line", rule.line)
        .text("pattern", &rule.pattern)
        .flag("wins", rule.wins)
        .text("why", &rule.why)
}

fn summary(rule: &RuleSummary, place: bool) -> Record {
    Record::new()
        .text("name", &rule.name)
        .text("file", placed(&rule.file, rule.line, place))
        .number("line", rule.line)
        .text("resource", &rule.resource)
        .texts("operations", rule.operations.iter().map(|operation| words::operation(*operation)))
        .text("approval", &rule.approval)
        .texts("approvers", &rule.approvers)
        .number("quorum", rule.quorum)
        .span("lease_default", rule.lease_default)
        .span("lease_max", rule.lease_max)
        .number("uses", rule.uses)
}

fn placed(file: &str, line: u32, place: bool) -> String {
    if place && line != 0 { format!("{file}:{line}") } else { file.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_takes_rules_and_a_test_takes_cases_too() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "a.cases.toml", "README.md"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let names = |take| -> Vec<String> {
            let files = read_files(Some(dir.path()), take).unwrap();
            files.into_iter().map(|file| file.name).collect()
        };
        assert_eq!(names(Take::Rules), ["a.toml", "b.toml"]);
        assert_eq!(names(Take::RulesAndCases), ["a.cases.toml", "a.toml", "b.toml"]);
    }

    #[test]
    fn an_empty_folder_is_never_taken_for_the_daemons_own() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_files(Some(dir.path()), Take::Rules).is_err());
        assert!(read_files(None, Take::Rules).unwrap().is_empty());
    }
}
