//! What other rules would have made of the asks in the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::key::{CallTraits, Level};
use vouchsafe_core::policy::{Circumstances, PolicyFile, RuleSet};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::Reason;
use vouchsafe_core::time::UnixTime;

use super::asks::Arguments;
use super::doors::live_user;
use super::setup::project_or_default;
use super::{Broker, Code, Refused, ReplayChange, Replayed, entries};
use crate::policy_files::Loaded;
use crate::store::{Reader, StoreError};

/// How far back where nobody says.
const SINCE: Duration = Duration::from_hours(30 * 24);
/// Asks that are judged at most, the newest.
const ASKS_MAX: u32 = 10_000;
/// Changes that are told at most.
const CHANGES_MAX: usize = 500;

/// What an entry of the log tells of an ask, as far as it does: older entries tell less.
#[derive(Debug, Deserialize)]
struct Told {
    action: String,
    actor: Who,
    outcome: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    details: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Who {
    kind: String,
    name: String,
}

/// What is known of a key today, for what the log does not tell.
#[derive(Clone, Debug, Default)]
struct KnownKey {
    owner: String,
    level: Level,
}

/// Judges asks one by one, and keeps what would change.
struct Replay<'r> {
    set: &'r RuleSet,
    project: ProjectId,
    keys: HashMap<String, KnownKey>,
    asks: u32,
    same: u32,
    changes: HashMap<Change, (u32, UnixTime)>,
}

/// What makes two changes the same.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Change {
    key: String,
    resource: String,
    operation: Operation,
    was: &'static str,
    was_rule: String,
    now: &'static str,
    now_rule: String,
}

impl Broker {
    /// Runs rules against the asks in the log since a time (the last 30 days, where none is given),
    /// the newest 10,000 at most, and says what would change. Without files: those in the daemon's
    /// own folder, whether or not they are in force.
    ///
    /// An ask is judged at the time it was made, with what its entry tells of it. The log has the
    /// agent's reason as it is shown to people, with what could deceive them escaped, so that a rule
    /// about such a reason may judge it otherwise than it was.
    pub async fn replay_policy(
        &self,
        user: &User,
        files: Vec<PolicyFile>,
        project: Option<String>,
        since: Option<UnixTime>,
    ) -> Result<Replayed, Refused> {
        let loaded = match self.candidate(user, files).await? {
            Ok((_, loaded)) => loaded,
            Err(problems) => {
                let nothing =
                    Replayed { problems, asks: 0, same: 0, changes: Vec::new(), cut: false };
                return Ok(nothing);
            }
        };
        let since = since.unwrap_or_else(|| self.now().wall.minus(SINCE));
        let (caller, rules) = (user.clone(), Arc::clone(&loaded));
        let (project, replayed) = self
            .look("replay_policy", move |reader| {
                live_user(reader, &caller)?;
                let project = project_or_default(reader, &caller, project.as_deref())?;
                let name = project.name.as_str();
                let replayed = replay(reader, rules.of(name), project.id, name, since)?;
                Ok((project.name, replayed))
            })
            .await?;
        let entry = entries::by_user(Action::POLICY_REPLAYED, user).project(project.as_str());
        let entry = told(entry, &loaded, since, &replayed);
        self.run("policy_replayed", entry.clone(), move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await?;
        Ok(replayed)
    }
}

fn told(entry: Entry, loaded: &Loaded, since: UnixTime, replayed: &Replayed) -> Entry {
    entry
        .detail("rule_set", loaded.digest())
        .detail("since", since.rfc3339())
        .detail("asks", replayed.asks)
        .detail("same", replayed.same)
        .detail("cut", replayed.cut)
}

/// Judges the asks of a project in the log by these rules.
pub(super) fn replay(
    reader: &Reader<'_>,
    set: &RuleSet,
    project: ProjectId,
    name: &str,
    since: UnixTime,
) -> Result<Replayed, StoreError> {
    let mut replay =
        Replay { set, project, keys: HashMap::new(), asks: 0, same: 0, changes: HashMap::new() };
    let (mut cut, mut failed) = (false, None);
    reader.each_ask(name, since, |at, line| {
        let Ok(told) = serde_json::from_slice::<Told>(line) else { return true };
        let Some(was) = told.decided() else { return true };
        cut = replay.asks >= ASKS_MAX;
        if cut {
            return false;
        }
        failed = replay.judge(reader, at, &told, was).err();
        failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(replay.finish(cut)),
    }
}

impl Told {
    /// What the rules decided, in a word; nothing where they did not: a refusal for another cause.
    fn decided(&self) -> Option<&'static str> {
        if self.outcome == "refused" {
            let code = self.text("code").unwrap_or_default();
            let is = |codes: &[Code]| codes.iter().any(|known| known.as_str() == code);
            let reasons = [
                Code::ReasonNeeded,
                Code::ReasonTooShort,
                Code::ReasonForm,
                Code::ReasonKindNeeded,
            ];
            return if is(&reasons) {
                Some("reason")
            } else if is(&[Code::PolicyRefused]) {
                Some("refused")
            } else {
                None
            };
        }
        let action = Action::parse(&self.action)?;
        if action == Action::SECRET_WRITTEN || action == Action::SECRET_DELETED {
            // People delete as well, and ask nobody.
            let is_ask = self.actor.kind == "agent";
            let observed = self.details.contains_key("observed");
            return is_ask.then_some(if observed { "observed" } else { "allowed" });
        }
        if action == Action::LEASE_OBSERVED {
            Some("observed")
        } else if action == Action::LEASE_ISSUED {
            Some("allowed")
        } else if action == Action::APPROVAL_REQUESTED || self.text("session").is_some() {
            // What was given under a session people had been asked for.
            Some("asks")
        } else if action == Action::APPROVAL_AUTOMATIC {
            Some("approves")
        } else {
            None
        }
    }

    fn text(&self, detail: &str) -> Option<&str> {
        self.details.get(detail)?.as_str()
    }

    /// The rule that governed one of its resources, where the entry tells.
    fn rule(&self, index: usize) -> &str {
        let listed = self.details.get("rules").and_then(|rules| rules.get(index)?.as_str());
        listed.or_else(|| self.text("rule")).unwrap_or_default()
    }
}

impl Replay<'_> {
    fn judge(
        &mut self,
        reader: &Reader<'_>,
        at: UnixTime,
        told: &Told,
        was: &'static str,
    ) -> Result<(), StoreError> {
        let default = if told.action == Action::AUDIT_QUERIED.as_str() { "list" } else { "read" };
        let Ok(operation) = told.text("operation").unwrap_or(default).parse::<Operation>() else {
            return Ok(());
        };
        let known = self.known(reader, &told.actor.name)?;
        let reason = told.text("reason").and_then(|reason| Reason::parse(reason).ok());
        let arguments = told.text("arguments").and_then(|text| serde_json::from_str(text).ok());
        let arguments = arguments.unwrap_or_else(|| Arguments::default().value().clone());
        for (index, uri) in told.resources.iter().enumerate() {
            let Ok(resource) = uri.parse::<Resource>() else { continue };
            let ask = Circumstances {
                key: &told.actor.name,
                owner: told.text("owner").unwrap_or(&known.owner),
                level: told.text("level").and_then(|l| l.parse().ok()).unwrap_or(known.level),
                resource: &resource,
                operation,
                call: CallTraits::default(),
                reason: reason.as_ref(),
                reason_kind: told.text("reason_kind"),
                arguments: &arguments,
                now: at,
            };
            let now = self.set.consider(&ask).decision();
            let verdict = self.set.decide(&resource, operation);
            let now_rule = verdict.decided_by().map(ToString::to_string).unwrap_or_default();
            let was_rule = told.rule(index);
            self.asks = self.asks.saturating_add(1);
            if was == now && (was_rule.is_empty() || was_rule == now_rule) {
                self.same = self.same.saturating_add(1);
                continue;
            }
            let change = Change {
                key: told.actor.name.clone(),
                resource: uri.clone(),
                operation,
                was,
                was_rule: was_rule.to_owned(),
                now,
                now_rule,
            };
            // The newest comes first.
            let (asks, _) = self.changes.entry(change).or_insert((0, at));
            *asks = asks.saturating_add(1);
        }
        Ok(())
    }

    fn known(&mut self, reader: &Reader<'_>, key: &str) -> Result<KnownKey, StoreError> {
        if let Some(known) = self.keys.get(key) {
            return Ok(known.clone());
        }
        let known = match reader.key_named(self.project, key)? {
            Some(view) => KnownKey { owner: view.owner_name, level: view.key.settings.level },
            None => KnownKey::default(),
        };
        self.keys.insert(key.to_owned(), known.clone());
        Ok(known)
    }

    fn finish(self, cut: bool) -> Replayed {
        let told = |(change, (asks, last_at)): (Change, (u32, UnixTime))| ReplayChange {
            key: change.key,
            resource: change.resource,
            operation: change.operation,
            was: change.was.to_owned(),
            was_rule: change.was_rule,
            now: change.now.to_owned(),
            now_rule: change.now_rule,
            asks,
            last_at,
        };
        let mut changes: Vec<_> = self.changes.into_iter().map(told).collect();
        changes.sort_by(|a, b| {
            let by = |change: &ReplayChange| (change.resource.clone(), change.key.clone());
            b.asks.cmp(&a.asks).then(b.last_at.cmp(&a.last_at)).then_with(|| by(a).cmp(&by(b)))
        });
        changes.truncate(CHANGES_MAX);
        Replayed { problems: Vec::new(), asks: self.asks, same: self.same, changes, cut }
    }
}
