//! Rules, what is wrong with them and what they say.

use vouchsafe_core::policy::{AnyRule, ApproverRef, Asks, Bind, Conditions, Factor, Placed, Rule};
use vouchsafe_core::time::{UnixTime, format_duration};
use vouchsafe_proto::v1;

use super::approvals::condition;
use super::time::{duration_out, time, time_out};
use super::{Taken, few, name, operation_out, optional, reason, shown, text};
use crate::broker::{
    CaseResult, Checked, ExplainAsk, Explained, ExplainedMatch, PolicyFile, Problem, Reloaded,
    ReplayChange, Replayed, ShownPolicy, Tested,
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

/// An ask that somebody wonders about. The operation is taken by itself.
pub(in crate::grpc) fn explain_ask(request: v1::ExplainPolicyRequest) -> Taken<ExplainAsk> {
    let words = |text: String| (!text.is_empty()).then_some(text);
    Ok(ExplainAsk {
        project: optional("project", request.project)?,
        resource: text("resource", request.resource)?,
        key: optional("key", request.key)?,
        reason: words(reason(request.reason)?),
        reason_kind: optional("reason_kind", request.reason_kind)?,
        arguments: words(request.arguments),
        at: time("at", request.at)?,
    })
}

/// What a replay is about: the files, the project, and since when.
pub(in crate::grpc) fn replay_ask(
    request: v1::ReplayPolicyRequest,
) -> Taken<(Vec<PolicyFile>, Option<String>, Option<UnixTime>)> {
    Ok((
        policy_files(request.files)?,
        optional("project", request.project)?,
        time("since", request.since)?,
    ))
}

/// What the rules say of one ask.
pub(in crate::grpc) fn explained(explained: Explained) -> v1::ExplainPolicyResponse {
    let rule = explained.rule.as_ref();
    let escalation = rule.and_then(|rule| rule.escalation.as_ref());
    v1::ExplainPolicyResponse {
        decision: explained.decision.to_owned(),
        why: explained.why,
        matches: explained.matches.into_iter().map(rule_match).collect(),
        factors: rule.map(asked).unwrap_or_default(),
        people: explained.people,
        lease_default: rule.map(|rule| duration_out(rule.lease.default)),
        lease_max: rule.map(|rule| duration_out(rule.lease.max)),
        uses: rule.and_then(|rule| rule.lease.uses).unwrap_or_default(),
        conditions: explained.conditions.iter().map(condition).collect(),
        reason_lacks: explained.reason_lacks.unwrap_or_default(),
        escalates_to: escalation.map(|escalation| texts(&escalation.to)).unwrap_or_default(),
        escalates_after: escalation.map(|escalation| duration_out(escalation.after)),
        pending_for: rule.map(|rule| duration_out(rule.pending_for)),
    }
}

/// The rules in force.
pub(in crate::grpc) fn shown_policy(shown: ShownPolicy) -> v1::ShowPolicyResponse {
    let loaded = &shown.loaded;
    let set = loaded.of(&shown.project);
    let (held_approval_id, held_digest) =
        shown.held.map(|(id, digest)| (id.to_string(), digest)).unwrap_or_default();
    v1::ShowPolicyResponse {
        digest: set.digest().to_string(),
        source: loaded.source.clone(),
        loaded_at: Some(time_out(loaded.loaded_at)),
        rules: set.rules().iter().map(rule_summary).collect(),
        problems: shown.problems.into_iter().map(problem).collect(),
        project: shown.project,
        held_approval_id,
        held_digest,
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
        held_approval_id: reloaded.held.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// What running rules against the asks in the log came to.
pub(in crate::grpc) fn replayed(replayed: Replayed) -> v1::ReplayPolicyResponse {
    let change = |change: ReplayChange| v1::ReplayChange {
        key: shown(&change.key),
        resource: change.resource,
        operation: operation_out(change.operation).into(),
        was: change.was,
        was_rule: change.was_rule,
        now: change.now,
        now_rule: change.now_rule,
        asks: change.asks,
        last_at: Some(time_out(change.last_at)),
    };
    v1::ReplayPolicyResponse {
        problems: replayed.problems.into_iter().map(problem).collect(),
        asks: replayed.asks,
        same: replayed.same,
        changes: replayed.changes.into_iter().map(change).collect(),
        cut: replayed.cut,
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
            let approval = match &rule.asks {
                Asks::Nobody => "none",
                Asks::People(_) => "required",
                Asks::Level(_) => "level",
            };
            v1::RuleSummary {
                approval: approval.to_owned(),
                observed: rule.is_observed(),
                terms: terms(rule),
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

/// What else a rule says, as its file would, a line each.
fn terms(rule: &Rule) -> Vec<String> {
    let mut terms = Vec::new();
    if rule.require_reason {
        terms.push(match rule.min_reason_length {
            0 | 1 => "require_reason".to_owned(),
            least => format!("min_reason_length {least}"),
        });
    }
    if let Some(pattern) = &rule.reason_pattern {
        terms.push(format!("reason_pattern {}", pattern.regex.as_str()));
    }
    if !rule.reason_kinds.is_empty() {
        terms.push(format!("reason_kinds {}", rule.reason_kinds.join(", ")));
    }
    for (condition, wanted) in rule.auto_approve.iter().flat_map(Conditions::written) {
        terms.push(format!("auto_approve.{condition} {wanted}"));
    }
    if rule.quorum().is_some_and(|quorum| quorum.self_approval) {
        terms.push("self_approval".to_owned());
    }
    if rule.quorum().is_some() {
        terms.push(format!("pending_for {}", format_duration(rule.pending_for)));
    }
    if let Some(escalation) = &rule.escalation {
        terms.push(format!("escalate_after {}", format_duration(escalation.after)));
        terms.push(format!("escalate_to {}", texts(&escalation.to).join(", ")));
    }
    if let Some(every) = rule.remind_every {
        terms.push(format!("remind_every {}", format_duration(every)));
    }
    if rule.remember {
        terms.push("remember".to_owned());
    }
    if rule.bind == Bind::Tool {
        terms.push("bind tool".to_owned());
    }
    if rule.follow_rotation {
        terms.push("follow_rotation".to_owned());
    }
    if !rule.break_glass.is_empty() {
        terms.push(format!("break_glass {}", texts(&rule.break_glass).join(", ")));
    }
    terms
}

fn texts(approvers: &[ApproverRef]) -> Vec<String> {
    approvers.iter().map(ToString::to_string).collect()
}
