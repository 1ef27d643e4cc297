//! What the rules would make of an ask, and why.

use vouchsafe_core::caller::User;
use vouchsafe_core::key::{CallTraits, Level};
use vouchsafe_core::policy::{
    Circumstances, Considered, Directory, Free, Judgment, Match, Refusal, Rule, RuleSet, eligible,
};
use vouchsafe_core::resource::{Operation, Resource};

use super::asks::{Arguments, check_reason_kind, check_reason_text};
use super::doors::live_user;
use super::setup::project_or_default;
use super::{Broker, ExplainAsk, Explained, ExplainedMatch, Refused, keys};

/// The key that an ask is explained for.
#[derive(Debug, Default)]
struct Asking {
    name: String,
    owner: String,
    level: Level,
}

impl Broker {
    /// What the rules in force say of one ask, and why: the rules that match, which of them decides,
    /// how its conditions stand, and who could answer.
    pub async fn explain_policy(
        &self,
        user: &User,
        ask: ExplainAsk,
        operation: Operation,
    ) -> Result<Explained, Refused> {
        let resource: Resource =
            ask.resource.parse().map_err(|e: vouchsafe_core::resource::ResourceError| {
                Refused::invalid(
                    e.to_string(),
                    "Write it as vouchsafe://secrets/production/DATABASE_URL.",
                )
            })?;
        let reason = check_reason_text(ask.reason.as_deref())?;
        let kind = check_reason_kind(ask.reason_kind)?;
        let arguments = arguments_of(ask.arguments.as_deref())?;
        let (user, wanted) = (user.clone(), ask.project);
        let (project, people, key) = self
            .look("explain_policy", move |reader| {
                live_user(reader, &user)?;
                let project = project_or_default(reader, &user, wanted.as_deref())?;
                let key = match ask.key.as_deref().filter(|key| !key.is_empty()) {
                    None => Asking::default(),
                    Some(name) => {
                        let view = reader.key_named(project.id, name)?;
                        let view = view.ok_or_else(|| keys::not_found(name))?;
                        let level = view.key.settings.level;
                        Asking { name: view.key.name.to_string(), owner: view.owner_name, level }
                    }
                };
                Ok((project.name, reader.directory(project.id)?, key))
            })
            .await?;
        let circumstances = Circumstances {
            key: &key.name,
            owner: &key.owner,
            level: key.level,
            resource: &resource,
            operation,
            call: CallTraits::default(),
            reason: reason.as_ref(),
            reason_kind: kind.as_deref(),
            arguments: arguments.value(),
            now: ask.at.unwrap_or(self.now().wall),
        };
        let loaded = self.inner.policy.current();
        Ok(explain(loaded.of(project.as_str()), &circumstances, &people))
    }
}

fn arguments_of(text: Option<&str>) -> Result<Arguments, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Arguments::default()) };
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Arguments::new(value),
        Ok(_) | Err(_) => Err(Refused::invalid(
            "the arguments are not a JSON object",
            "Write them as the tool takes them, such as {\"limit\": 10}.",
        )),
    }
}

fn explain(set: &RuleSet, ask: &Circumstances<'_>, people: &Directory) -> Explained {
    let considered = set.consider(ask);
    let matches = set.explain(ask.resource, ask.operation).matches;
    // What a reason lacks decides; the conditions are worth knowing all the same.
    let conditions = match &considered {
        Considered::ReasonLacks { rule, .. } => match rule.judge(ask) {
            Judgment::Automatic(outcomes) | Judgment::Ask(outcomes) => outcomes,
            Judgment::Free(_) => Vec::new(),
        },
        considered => considered.outcomes().to_vec(),
    };
    Explained {
        decision: considered.decision(),
        why: why(&considered, ask.operation),
        matches: matches.iter().map(explained_match).collect(),
        rule: considered.rule().cloned(),
        conditions,
        reason_lacks: lacks(&considered),
        people: considered
            .rule()
            .map(|rule| answering(rule, ask.owner, people))
            .unwrap_or_default(),
    }
}

/// A sentence without its full stop.
fn why(considered: &Considered<'_>, operation: Operation) -> String {
    match considered {
        Considered::Refused(Refusal::NoRule) => "no rule is for it".to_owned(),
        Considered::Refused(Refusal::Denied { rule }) => {
            format!("the rule \"{}\" denies it", rule.name)
        }
        Considered::Refused(Refusal::OperationNotCovered { rule }) => {
            format!("the rule \"{}\" does not cover {}", rule.name, operation.as_str())
        }
        Considered::ReasonLacks { rule, needed } => format!("{needed} (rule \"{}\")", rule.name),
        Considered::Observed { rule, judgment, lacks } => {
            let would = match (judgment, lacks) {
                (_, Some(_)) => "would refuse it for its reason",
                (Judgment::Free(_), None) => "would ask nobody",
                (Judgment::Automatic(_), None) => "would approve it, for its conditions hold",
                (Judgment::Ask(_), None) => "would ask people",
            };
            format!("the rule \"{}\" is only observed and asks nobody; it {would}", rule.name)
        }
        Considered::Allowed { rule, free: Free::Rule } => {
            format!("the rule \"{}\" asks nobody", rule.name)
        }
        Considered::Allowed { rule, free: Free::Level(level) } => format!(
            "the rule \"{}\" leaves it to the key's level, and {level} does not ask for {}",
            rule.name,
            operation.as_str()
        ),
        Considered::Approved { rule, .. } => {
            format!("the rule \"{}\" approves it, for its conditions hold", rule.name)
        }
        Considered::Asks { rule, outcomes } if outcomes.is_empty() => {
            format!("the rule \"{}\" asks people", rule.name)
        }
        Considered::Asks { rule, .. } => {
            format!("the rule \"{}\" asks people, for its conditions do not all hold", rule.name)
        }
    }
}

fn lacks(considered: &Considered<'_>) -> Option<String> {
    match considered {
        Considered::ReasonLacks { needed, .. }
        | Considered::Observed { lacks: Some(needed), .. } => Some(needed.to_string()),
        Considered::Refused(_)
        | Considered::Observed { lacks: None, .. }
        | Considered::Allowed { .. }
        | Considered::Approved { .. }
        | Considered::Asks { .. } => None,
    }
}

/// Who could answer an ask under this rule as soon as it is made.
fn answering(rule: &Rule, owner: &str, people: &Directory) -> Vec<String> {
    let Some(quorum) = rule.quorum() else { return Vec::new() };
    let asked: Vec<_> = quorum.approvers().into_iter().cloned().collect();
    let mut names: Vec<_> = eligible(&asked, people).into_iter().collect();
    names.retain(|name| quorum.self_approval || name != owner);
    names
}

fn explained_match(found: &Match<'_>) -> ExplainedMatch {
    ExplainedMatch {
        rule: found.placed.rule.name().to_string(),
        file: found.placed.file.clone(),
        line: found.placed.line,
        pattern: found.placed.rule.resource().to_string(),
        wins: found.wins,
        why: found.why.clone(),
    }
}
