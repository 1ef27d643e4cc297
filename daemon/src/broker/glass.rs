//! Breaking the glass: a short lease at once, for somebody whom the rule trusts with that, looked
//! at by another person afterwards.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::approval::{
    Approval, Approved, Ask, Asker, BREAK_GLASS_MAX, Granted, History, How, Item, Limits,
};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Claims, Roles, User, UserRecord};
use vouchsafe_core::id::{ApprovalId, LeaseId, ReviewId};
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::policy::{Directory, Quorum, Rule, Verdict, named};
use vouchsafe_core::project::{DEFAULT_PROJECT, Project};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::review::{Open, Review};
use vouchsafe_core::text::{REASON_CHARS_MAX, escape_untrusted, visible_chars};
use vouchsafe_core::time::format_duration;

use super::asks::refused_by_rules;
use super::doors::{check_standing, live_user};
use super::emergency::check_not_stopped;
use super::setup::{no_project, project_archived};
use super::{Broker, Code, Refused, SecretRecord, Stop, entries, random};
use crate::policy_files::Loaded;
use crate::store::{KeyRecord, Reader, Tx};

/// Visible characters that the reason has at least.
const REASON_LENGTH_MIN: usize = 10;

/// What somebody wants who breaks the glass.
#[derive(Clone, Debug)]
pub struct GlassCommand {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// What the lease is to be on.
    pub resource: Resource,
    /// The name of the key that gets it.
    pub key: String,
    /// What it is to be good for: `read` or `use`.
    pub operation: Operation,
    /// Why, in their words.
    pub reason: String,
    /// How long it should last; none: as long as it may.
    pub duration: Option<Duration>,
}

/// What came of breaking the glass.
#[derive(Clone, Debug)]
pub struct BrokenGlass {
    /// The lease.
    pub lease: Lease,
    /// The review that another person has to make.
    pub review: Review,
    /// Everybody else whom the rule names, by name.
    pub told: Vec<String>,
}

/// The ids of what comes of it.
#[derive(Clone, Copy, Debug)]
struct Ids {
    approval: ApprovalId,
    lease: LeaseId,
    review: ReviewId,
}

/// All that is needed, found and allowed.
struct Allowed {
    project: Project,
    rule: Rule,
    key: KeyRecord,
    secret: SecretRecord,
    people: Directory,
}

impl Broker {
    /// Gives a key a short lease at once, where the rule names the user for that. Another person has
    /// to review it; until then the user gets no second one.
    pub async fn break_glass(
        &self,
        user: &User,
        command: GlassCommand,
    ) -> Result<BrokenGlass, Refused> {
        let subject = entries::by_user(Action::GLASS_BROKEN, user)
            .resource(&command.resource)
            .detail("operation", command.operation.as_str());
        if let Err(refused) = check(&command) {
            return Err(self.refuse(subject, refused).await);
        }
        let ids = Ids {
            approval: ApprovalId::from_random(random()?),
            lease: LeaseId::from_random(random()?),
            review: ReviewId::from_random(random()?),
        };
        let (user, policy) = (user.clone(), Arc::clone(&self.inner.policy));
        let (broken, approval) = self
            .run("break_glass", subject, move |tx| {
                live_user(tx, &user)?;
                let loaded = policy.current();
                let allowed = allow(tx, &user, &command, &loaded)?;
                let rule_set = loaded.of(allowed.project.name.as_str()).digest();
                give(tx, &user, &command, &allowed, ids, rule_set.to_string())
            })
            .await?;
        self.settled(&approval);
        self.inner.count.leased(1);
        Ok(broken)
    }
}

/// Whether this user may have this for this key: the rules first, then the people they name, then
/// the key.
fn allow(
    tx: &Tx<'_>,
    user: &User,
    command: &GlassCommand,
    loaded: &Loaded,
) -> Result<Allowed, Stop> {
    let name = command.project.as_deref().unwrap_or(DEFAULT_PROJECT);
    let project = tx.project_named(name)?.ok_or_else(|| no_project(name))?;
    let people = tx.directory(project.id)?;
    let rules = loaded.of(project.name.as_str());
    let verdict = rules.decide(&command.resource, command.operation);
    let is_named = match &verdict {
        Verdict::Ruled(rule) => named(&rule.break_glass, &people).contains(&user.name),
        Verdict::Refused(_) => false,
    };
    if !is_named && !has_a_role(tx, user, &project)? {
        // Whoever has nothing to do with a project does not learn whether there is one.
        return Err(no_project(project.name.as_str()).into());
    }
    if project.archived_at.is_some() {
        return Err(project_archived(project.name.as_str()).into());
    }
    let rule = match verdict {
        Verdict::Ruled(rule) if is_named => rule.clone(),
        Verdict::Ruled(rule) => return Err(not_for(rule).into()),
        Verdict::Refused(refusal) => {
            return Err(refused_by_rules(&command.resource, command.operation, &refusal).into());
        }
    };
    let key = able_key(tx, &project, command)?;
    check_not_stopped(tx, project.id, key.key.id)?;
    if let Some(open) = tx.open_review_of(user.id)? {
        return Err(review_open(&open).into());
    }
    let Resource::Secret(path) = &command.resource else {
        return Err(Refused::internal().into());
    };
    let secret = tx.secret_at(project.id, path)?.ok_or_else(|| {
        Refused::new(
            Code::SecretNotFound,
            format!("there is no secret {}", command.resource),
            "`vouchsafe secrets list` shows which there are.",
        )
    })?;
    Ok(Allowed { project, rule, key, secret, people })
}

/// The approval that stands for it, its lease and its review, and what the log says of them.
fn give(
    tx: &mut Tx<'_>,
    user: &User,
    command: &GlassCommand,
    allowed: &Allowed,
    ids: Ids,
    rule_set: String,
) -> Result<(BrokenGlass, Approval), Stop> {
    let ask = draft(tx, command, allowed, ids.approval, rule_set)?;
    let limits = Limits::break_glass(&allowed.rule, command.duration);
    let approved = Approved {
        ask,
        votes: Vec::new(),
        granted: vec![Granted { item: 0, limits }],
        how: How::BreakGlass { by: user.name.clone(), review: ids.review },
        applied: None,
        at: tx.now().wall,
    };
    let allowance = approved.allowances().next().ok_or_else(Refused::internal)?;
    let approval = Approval::Approved(approved);
    tx.insert_settled_approval(&approval)?;
    let lease = Active::issue(ids.lease, allowance, tx.now());
    tx.insert_lease(&lease)?;
    let open = opened(tx, user, command, allowed, ids);
    if !tx.insert_review(&open)? {
        return Err(Refused::internal().into());
    }
    let told = named_by(&allowed.rule, &allowed.people, &user.name);
    let entry = entries::about_ask(entries::by_user(Action::GLASS_BROKEN, user), approval.ask())
        .lease(ids.lease)
        .detail("rule", allowed.rule.name.as_str())
        .detail("owner", allowed.key.owner_name.as_str())
        .detail("reason", escape_untrusted(&open.reason).text)
        .detail("review", ids.review.to_string())
        .detail("told", told.clone());
    tx.append(&entry)?;
    let entry = entries::by_user(Action::LEASE_ISSUED, user);
    tx.append(&entries::about_lease(entry, &lease))?;
    let broken = BrokenGlass { lease: Lease::Active(lease), review: Review::Open(open), told };
    Ok((broken, approval))
}

fn draft(
    tx: &Tx<'_>,
    command: &GlassCommand,
    allowed: &Allowed,
    id: ApprovalId,
    rule_set: String,
) -> Result<Ask, Stop> {
    let Allowed { project, rule, key, secret, .. } = allowed;
    let now = tx.now();
    let (_, asks_today) = tx.count_asks(key.key.id, now.wall.midnight())?;
    Ok(Ask {
        id,
        project: project.id,
        project_name: project.name.to_string(),
        asker: Asker {
            key: Some(key.key.id),
            key_name: key.key.name.to_string(),
            owner: Some(key.key.owner),
            owner_name: key.owner_name.clone(),
            claims: Claims::default(),
        },
        operation: command.operation,
        items: vec![Item {
            resource: command.resource.clone(),
            secret: Some(secret.id),
            version: secret.version,
            description: secret.description.clone(),
            rule: rule.clone(),
        }],
        arguments: "{}".to_owned(),
        // The agent has said nothing; why the glass was broken is the review's to tell.
        reason: None,
        reason_kind: None,
        change: None,
        requested: command.duration,
        asked_at: now.wall,
        deadline: now.deadline(rule.pending_for),
        rule_set,
        history: History {
            had_before: tx.had_lease(key.key.id, &command.resource)?,
            asks_today: asks_today.saturating_add(1),
        },
    })
}

fn opened(tx: &Tx<'_>, user: &User, command: &GlassCommand, allowed: &Allowed, ids: Ids) -> Open {
    let Allowed { project, rule, key, .. } = allowed;
    Open {
        id: ids.review,
        project: project.id,
        project_name: project.name.to_string(),
        by: user.id,
        by_name: user.name.clone(),
        key: key.key.id,
        key_name: key.key.name.to_string(),
        owner_name: key.owner_name.clone(),
        resource: command.resource.clone(),
        operation: command.operation,
        rule: rule.name.to_string(),
        reason: command.reason.trim().to_owned(),
        approval: ids.approval,
        lease: ids.lease,
        at: tx.now().wall,
    }
}

/// The key that is to have the lease, if it could use it.
fn able_key(tx: &Tx<'_>, project: &Project, command: &GlassCommand) -> Result<KeyRecord, Stop> {
    let key = tx.key_named(project.id, &command.key)?;
    let view = key.ok_or_else(|| super::keys::not_found(&command.key))?;
    let name = view.key.name.as_str();
    let standing = tx.key_standing(view.key.id)?.ok_or_else(Refused::internal)?;
    check_standing(&standing, name, project.name.as_str(), tx.now().wall)?;
    let needed: &[Scope] = if command.operation == Operation::Read {
        &[Scope::SecretsRead, Scope::SecretsReveal]
    } else {
        &[Scope::SecretsRead]
    };
    if let Some(scope) = needed.iter().find(|scope| !view.key.scopes.allow(**scope)) {
        return Err(Refused::new(
            Code::ScopeNeeded,
            format!(
                "this needs the scope {scope}; the key `{name}` has {}",
                view.key.scopes.words()
            ),
            format!("An operator can add it with `vouchsafe keys update {name} --scopes ..`."),
        )
        .into());
    }
    Ok(view)
}

/// Everybody else whom the rule names in any way and who may sign in, by name.
fn named_by(rule: &Rule, people: &Directory, but: &str) -> Vec<String> {
    let mut meant = rule.break_glass.clone();
    meant.extend(rule.quorum().into_iter().flat_map(Quorum::approvers).cloned());
    meant.extend(rule.escalation.iter().flat_map(|escalation| escalation.to.clone()));
    named(&meant, people).into_iter().filter(|name| name != but).collect()
}

fn has_a_role(reader: &Reader<'_>, user: &User, project: &Project) -> Result<bool, Stop> {
    let record: Option<UserRecord> = reader.user(user.id)?;
    Ok(record.is_some_and(|record| record.roles_in(project.id) != Roles::NONE))
}

fn not_for(rule: &Rule) -> Refused {
    let names: Vec<_> = rule.break_glass.iter().map(ToString::to_string).collect();
    let next = if names.is_empty() {
        "It lets nobody; let the agent ask, and the approvers answer.".to_owned()
    } else {
        format!("It names {}; let one of them do it, or let the agent ask.", names.join(", "))
    };
    Refused::new(
        Code::NotForBreakGlass,
        format!("the rule \"{}\" does not let you break the glass", rule.name),
        next,
    )
}

fn review_open(review: &Review) -> Refused {
    let open = review.opened();
    Refused::new(
        Code::ReviewOpen,
        format!(
            "you broke the glass at {} for {}, and nobody has reviewed that yet ({})",
            open.at, open.resource, open.id
        ),
        "Ask another person to review it (`vouchsafe reviews`); then you can again.",
    )
}

fn check(command: &GlassCommand) -> Result<(), Refused> {
    let (chars, visible) = (command.reason.chars().count(), visible_chars(&command.reason));
    if chars > REASON_CHARS_MAX {
        return Err(Refused::invalid(
            format!("the reason has {chars} characters, and may have {REASON_CHARS_MAX}"),
            "Say it in fewer words.",
        ));
    }
    if visible < REASON_LENGTH_MIN {
        let code = if visible == 0 { Code::ReasonNeeded } else { Code::ReasonTooShort };
        return Err(Refused::new(
            code,
            format!(
                "breaking the glass needs a reason of at least {REASON_LENGTH_MIN} visible \
                 characters, and this one has {visible}"
            ),
            "Say what is on fire; whoever reviews it reads that.",
        ));
    }
    if !matches!(command.operation, Operation::Read | Operation::Use)
        || !matches!(command.resource, Resource::Secret(_))
    {
        return Err(Refused::invalid(
            format!(
                "the glass is broken to `read` or `use` a secret, not to `{}` {}",
                command.operation.as_str(),
                command.resource
            ),
            "Name a secret, such as vouchsafe://secrets/production/DATABASE_URL.",
        ));
    }
    match command.duration {
        Some(duration) if duration < Duration::from_secs(1) => Err(Refused::invalid(
            "a lease lasts at least a second",
            "Give a longer duration, such as 10m, or leave it out.",
        )),
        Some(duration) if duration > BREAK_GLASS_MAX => Err(Refused::new(
            Code::NotNarrower,
            format!("a broken glass lasts {} at most", format_duration(BREAK_GLASS_MAX)),
            "Give a shorter duration, or leave it out; for more, let the agent ask.",
        )),
        Some(_) | None => Ok(()),
    }
}
