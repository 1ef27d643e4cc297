//! `policy explain`: what would happen to an ask, and why.

use clap::Args;
use serde_json::Value;
use vouchsafe_proto::v1::{ExplainPolicyRequest, ExplainPolicyResponse, RuleMatch};

use super::placed;
use crate::approvals::{condition, factor, factor_words};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::record::Record;
use crate::time::{self, Time};
use crate::words::Operation;

const MATCH_COLUMNS: [Column; 5] =
    [("WINS", "wins"), ("RULE", "rule"), ("PATTERN", "pattern"), ("WHERE", "file"), ("WHY", "why")];
const CONDITION_COLUMNS: [Column; 5] = [
    ("HOLDS", "holds"),
    ("CONDITION", "condition"),
    ("WANTED", "wanted"),
    ("FOUND", "found"),
    ("ERROR", "error"),
];

/// Say what would happen if somebody asked for this, and why
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
    /// Reason it would give
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Kind of that reason, where the rule lists kinds
    #[arg(long, value_name = "KIND")]
    reason_kind: Option<String>,
    /// Arguments it would give: a JSON object
    #[arg(long, value_name = "JSON", value_parser = arguments_arg)]
    arguments: Option<String>,
    /// When it would ask: an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::exact_arg)]
    at: Option<Time>,
}

pub(super) async fn run(given: Explain, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ExplainPolicyRequest {
        project: context.project.clone(),
        resource: given.uri,
        operation: given.operation.to_proto(),
        key: given.key.unwrap_or_default(),
        reason: given.reason.unwrap_or_default(),
        reason_kind: given.reason_kind.unwrap_or_default(),
        arguments: given.arguments.unwrap_or_default(),
        at: given.at.map(time::to_proto),
    };
    let answer = daemon.policy().explain_policy(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(&record(&answer));
    }
    context.out.record(&told(&answer))?;
    if !answer.conditions.is_empty() {
        let conditions: Vec<Record> = answer.conditions.iter().map(condition).collect();
        context.out.say("")?;
        context.out.list(&CONDITION_COLUMNS, &conditions, "no conditions")?;
    }
    let matches: Vec<Record> = answer.matches.iter().map(|rule| rule_match(rule, true)).collect();
    context.out.say("")?;
    context.out.list(&MATCH_COLUMNS, &matches, "no rule matches")
}

fn record(answer: &ExplainPolicyResponse) -> Record {
    Record::new()
        .text("decision", &answer.decision)
        .text("why", &answer.why)
        .text("reason_lacks", &answer.reason_lacks)
        .records("factors", answer.factors.iter().map(factor))
        .texts("people", &answer.people)
        .texts("escalates_to", &answer.escalates_to)
        .span("escalates_after", answer.escalates_after)
        .span("pending_for", answer.pending_for)
        .span("lease_default", answer.lease_default)
        .span("lease_max", answer.lease_max)
        .number("uses", answer.uses)
        .records("conditions", answer.conditions.iter().map(condition))
        .records("matches", answer.matches.iter().map(|rule| rule_match(rule, false)))
}

/// For people: what does not apply is left out.
fn told(answer: &ExplainPolicyResponse) -> Record {
    let asks: Vec<String> = answer.factors.iter().map(factor_words).collect();
    let escalates = match answer.escalates_after.and_then(time::span_from_proto) {
        Some(after) if !answer.escalates_to.is_empty() => {
            format!("to {} after {}", answer.escalates_to.join(", "), time::span(after))
        }
        _ => String::new(),
    };
    let uses = match answer.uses {
        0 => String::new(),
        uses => uses.to_string(),
    };
    Record::new()
        .text("decision", &answer.decision)
        .text("why", &answer.why)
        .text("reason_lacks", &answer.reason_lacks)
        .text("needs", asks.join(", and "))
        .texts("people", &answer.people)
        .text("escalates", escalates)
        .span("pending_for", answer.pending_for)
        .span("lease_default", answer.lease_default)
        .span("lease_max", answer.lease_max)
        .text("uses", uses)
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

/// For clap: a JSON object.
fn arguments_arg(text: &str) -> Result<String, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err("arguments are a JSON object, like {\"name\": \"value\"}".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vouchsafe_proto::v1::Factor;

    use super::*;

    #[test]
    fn people_read_who_is_asked_and_who_comes_next() {
        let span = |minutes| Some(time::span_to_proto(Duration::from_mins(minutes)));
        let answer = ExplainPolicyResponse {
            decision: "asks".to_owned(),
            factors: vec![
                Factor { from: vec!["group:security".to_owned()], count: 1, met: 0 },
                Factor { from: vec!["group:oncall".to_owned()], count: 2, met: 0 },
            ],
            people: vec!["jane".to_owned(), "joe".to_owned()],
            escalates_to: vec!["group:leads".to_owned()],
            escalates_after: span(20),
            pending_for: span(60),
            ..ExplainPolicyResponse::default()
        };
        assert_eq!(
            told(&answer).lines("2026-11-21T12:00:00Z".parse().unwrap()),
            [
                "decision     asks",
                "needs        1 of group:security, and 2 of group:oncall",
                "people       jane, joe",
                "escalates    to group:leads after 20m",
                "pending for  1h",
            ]
        );
    }

    #[test]
    fn arguments_are_an_object() {
        assert!(arguments_arg(r#"{"a": 1}"#).is_ok());
        assert!(arguments_arg("[1]").unwrap_err().contains("JSON object"));
        assert!(arguments_arg("{").unwrap_err().contains("not valid JSON"));
    }
}
