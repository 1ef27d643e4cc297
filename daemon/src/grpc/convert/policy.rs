//! Rules, what is wrong with them and what they say.

use vouchsafe_core::policy::{AnyRule, Factor, Placed, Rule};
use vouchsafe_proto::v1;

use super::time::{duration_out, time_out};
use super::{Taken, few, name, operation_out};
use crate::broker::{
    CaseResult, Checked, Explained, ExplainedMatch, PolicyFile, Problem, Reloaded, ShownPolicy,
    Tested,
};

/// The most files in one request: rules and cases.
const FILES_MAX: usize = 200;

/// Files that somebody wants to try. How large they may be the request's own limit says.
pub(in crate::grpc) fn policy_files(files: Vec<v1::PolicyFile>) -> Taken<Vec<PolicyFile>> {
    few("files", files.len(), FILES_MAX)?;
    let file = |file: v1::PolicyFile| {
        Ok(PolicyFile { name: name("files.name", file.name)?, text: file.text })
    };
    files.into_iter().map(file).collect()
}

/// What reading files found.
pub(in crate::grpc) fn checked(checked: Checked) -> v1::CheckPolicyResponse {
    let Checked { problems, digest, rules } = checked;
    v1::CheckPolicyResponse { problems: problems.into_iter().map(problem).collect(), digest, rules }
}

/// What running cases found.
pub(in crate::grpc) fn tested(tested: Tested) -> v1::TestPolicyResponse {
    v1::TestPolicyResponse {
        problems: tested.problems.into_iter().map(problem).collect(),
        results: tested.results.into_iter().map(case_result).collect(),
    }
}

/// What the rules say of one ask.
pub(in crate::grpc) fn explained(explained: Explained) -> v1::ExplainPolicyResponse {
    let rule = explained.rule.as_ref();
    v1::ExplainPolicyResponse {
        decision: explained.decision.to_owned(),
        why: explained.why,
        matches: explained.matches.into_iter().map(rule_match).collect(),
        factors: rule.map(asked).unwrap_or_default(),
        lease_default: rule.map(|rule| duration_out(rule.lease.default)),
        lease_max: rule.map(|rule| duration_out(rule.lease.max)),
        uses: rule.and_then(|rule| rule.lease.uses).unwrap_or_default(),
        ..v1::ExplainPolicyResponse::default()
    }
}

/// The rules in force.
pub(in crate::grpc) fn shown_policy(shown: ShownPolicy) -> v1::ShowPolicyResponse {
    let loaded = &shown.loaded;
    v1::ShowPolicyResponse {
        digest: loaded.set.digest().to_string(),
        source: loaded.source.clone(),
        loaded_at: Some(time_out(loaded.loaded_at)),
        rules: loaded.set.rules().iter().map(rule_summary).collect(),
        problems: shown.problems.into_iter().map(problem).collect(),
        ..v1::ShowPolicyResponse::default()
    }
}

/// What reading the folder again did.
pub(in crate::grpc) fn reloaded(reloaded: Reloaded) -> v1::ReloadPolicyResponse {
    v1::ReloadPolicyResponse {
        problems: reloaded.problems.into_iter().map(problem).collect(),
        digest: reloaded.digest,
        changed: reloaded.changed,
        rules: reloaded.rules,
        approvals_superseded: reloaded.superseded,
        ..v1::ReloadPolicyResponse::default()
    }
}

fn problem(problem: Problem) -> v1::PolicyProblem {
    v1::PolicyProblem {
        file: problem.file,
        line: problem.line,
        message: problem.message,
        mend: problem.mend,
    }
}

fn case_result(result: CaseResult) -> v1::PolicyCaseResult {
    v1::PolicyCaseResult {
        file: result.file,
        name: result.name,
        passed: result.passed,
        expected: result.expected,
        got: result.got,
    }
}

fn rule_match(one: ExplainedMatch) -> v1::RuleMatch {
    let ExplainedMatch { rule, file, line, pattern, wins, why } = one;
    v1::RuleMatch { rule, file, line, pattern, wins, why }
}

fn rule_summary(placed: &Placed) -> v1::RuleSummary {
    let base = v1::RuleSummary {
        name: placed.rule.name().to_string(),
        file: placed.file.clone(),
        line: placed.line,
        resource: placed.rule.resource().to_string(),
        operations: placed.rule.operations().iter().map(|one| operation_out(one).into()).collect(),
        ..v1::RuleSummary::default()
    };
    match &placed.rule {
        AnyRule::Deny(_) => v1::RuleSummary { approval: "deny".to_owned(), ..base },
        AnyRule::Allow(rule) => {
            let approval = if rule.quorum().is_some() { "required" } else { "none" };
            v1::RuleSummary {
                approval: approval.to_owned(),
                factors: asked(rule),
                lease_default: Some(duration_out(rule.lease.default)),
                lease_max: Some(duration_out(rule.lease.max)),
                uses: rule.lease.uses.unwrap_or_default(),
                ..base
            }
        }
    }
}

/// Whom a rule asks and how many of them; nobody where it asks nobody.
fn asked(rule: &Rule) -> Vec<v1::Factor> {
    let factors = rule.quorum().into_iter().flat_map(|quorum| &quorum.factors);
    let factor = |factor: &Factor| v1::Factor {
        from: factor.from.iter().map(ToString::to_string).collect(),
        count: factor.count,
        met: 0,
    };
    factors.map(factor).collect()
}
