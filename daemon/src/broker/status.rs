//! How the daemon is, and what it finds when it looks at itself.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::audit::{Action, HeadSigner as _};
use vouchsafe_core::caller::{Role, User, UserRecord};
use vouchsafe_core::route::{Audience, Channel, Event, Occasion, untold};

use super::doors::live_user;
use super::policy_notes::PolicyNotes;
use super::secrets::dates;
use super::{
    Broker, CheckView, Code, Refused, StatusView, Stop, audit, cause, emergency, entries, reviews,
};
use crate::store::Reader;
use crate::vault::source::SourceError;

/// How long an approval that nobody was told of is a warning.
const UNREACHED_FOR: Duration = Duration::from_hours(24);

/// Users that are looked at.
const USERS_MAX: u32 = 10_000;
/// People who are named before the others are only counted.
const NAMES_MAX: usize = 20;

/// What nobody heard of lately.
struct Unheard {
    /// Approvals that expired without anybody having been told of them.
    approvals: u64,
    /// Messages that were given up.
    messages: u64,
}

impl Broker {
    /// How the daemon is.
    pub async fn status(&self, user: &User) -> Result<StatusView, Refused> {
        let caller = user.clone();
        let policy = Arc::clone(&self.inner.policy);
        let now = self.now().wall;
        let (pending, leases, secrets, head, notes, stops, reviews, dated, unheard) = self
            .look("status", move |reader| {
                live_user(reader, &caller)?;
                let stops = emergency::stops_for(reader, &caller)?;
                Ok((
                    reader.count_pending()?,
                    reader.count_active_leases()?,
                    reader.count_secrets()?,
                    reader.audit_head()?,
                    PolicyNotes::read(reader, &policy)?,
                    stops.iter().map(emergency::sentence).collect::<Vec<_>>(),
                    reviews::open_for(reader, &caller)?,
                    dates::warning(reader, &caller, now)?,
                    Unheard {
                        approvals: reader.count_entries_since(
                            Action::APPROVAL_UNREACHED,
                            now.minus(UNREACHED_FOR),
                        )?,
                        messages: reader.count_failed_deliveries(now.minus(UNREACHED_FOR))?,
                    },
                ))
            })
            .await?;
        let loaded = self.inner.policy.current();
        let stale = !self.inner.policy.problems().is_empty();
        let mut warnings = self.warnings(stale, &notes);
        warnings.extend(
            reviews::warning(&reviews).map(|waits| format!("{waits}: `vouchsafe reviews`.")),
        );
        warnings.extend(dated);
        warnings.extend(self.channel_warnings(&unheard));
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.inner.started_at,
            dev: self.inner.settings.dev,
            home: self.inner.settings.home.display().to_string(),
            mcp_url: self.inner.mcp_url.get().cloned().unwrap_or_default(),
            approvals_pending: pending,
            leases_active: leases,
            audit_size: head.size,
            policy_digest: loaded.digest().to_owned(),
            policy_rules: loaded.count(),
            policy_stale: stale,
            calls_waiting: u32::try_from(self.calls_waiting()).unwrap_or(u32::MAX),
            warnings,
            secrets,
            stops,
            reviews_open: u32::try_from(reviews.len()).unwrap_or(u32::MAX),
            observed_asks: notes.observed_asks,
            rules_observed: notes.observed,
        })
    }

    /// What the daemon finds when it looks at itself. Reads the whole log.
    pub async fn run_checks(&self, user: &User) -> Result<Vec<CheckView>, Refused> {
        let caller = user.clone();
        let key = self.inner.vault.signer().verifier_key().clone();
        let policy = Arc::clone(&self.inner.policy);
        let now = self.now().wall;
        let channels = self.inner.settings.channels.clone();
        let (log, checkpoints, head, notes, reviews, past, approvers) = self
            .look("run_checks", move |reader| {
                live_user(reader, &caller)?;
                let log = reader.audit_verify(&key)?;
                let checkpoints = reader.audit_checkpoints_verify(&key)?;
                let notes = PolicyNotes::read(reader, &policy)?;
                let reviews = reviews::open_for(reader, &caller)?;
                let past = dates::past(reader, &caller, now)?;
                let head = reader.audit_head()?;
                let approvers = approvers(reader, &channels)?;
                Ok((log, checkpoints, head, notes, reviews, past, approvers))
            })
            .await?;
        let keep = "Keep the database for study and restore a backup.";
        let log = match log {
            Ok(verified) => fine("audit log", format!("{} entries are whole", verified.size)),
            Err(error) => fault("audit log", error.to_string(), keep),
        };
        let checkpoints = match checkpoints {
            Ok(count) => fine("checkpoints", format!("{count} are signed")),
            Err(error) => fault("checkpoints", error.to_string(), keep),
        };
        let head = match audit::size_of(&head.note, self) {
            Some(size) if size == head.size => {
                fine("signed head", format!("covers {size} entries"))
            }
            _ => fault("signed head", "it is not signed by this daemon's key".to_owned(), keep),
        };
        let problems = self.inner.policy.problems();
        let policy = match problems.first() {
            None => {
                let rules = self.inner.policy.current().count();
                fine("rules", format!("{rules} are in force"))
            }
            Some(problem) => fault(
                "rules",
                format!("the last reload was refused: {problem}"),
                "Mend the file, then `vouchsafe policy reload`.",
            ),
        };
        let reviews = match reviews::warning(&reviews) {
            None => fine("reviews", "no broken glass waits for one".to_owned()),
            Some(waits) => fault("reviews", waits, "Look at it: `vouchsafe reviews`."),
        };
        let secrets = match past {
            None => fine("secrets", "none is past its date".to_owned()),
            Some(past) => fault(
                "secrets",
                past,
                "Renew it, then give it another date: `vouchsafe secrets update PATH --expires`.",
            ),
        };
        let mut checks = vec![log, checkpoints, head, policy, reviews, secrets];
        checks.extend(notes.checks());
        checks.extend(self.channel_checks());
        checks.extend(approvers);
        Ok(checks)
    }

    /// Wraps the key ring under a new root key, while running. Answers with the generations of the
    /// old and the new state of the ring.
    pub async fn rotate_root_key(&self, user: &User) -> Result<(String, String), Refused> {
        let subject = entries::by_user(Action::ROOT_KEY_ROTATED, user);
        let source = self.inner.settings.root.clone();
        let vault = Arc::clone(&self.inner.vault);
        // Making a key of a passphrase takes its time, on purpose.
        let prepared = tokio::task::spawn_blocking(move || {
            let (root, passphrase) = source.make_new()?;
            Ok::<_, SourceError>(vault.next_root(&root, passphrase)?)
        });
        let next = match prepared.await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => return Err(self.refuse(subject, not_rotated(&error)).await),
            Err(_) => return Err(Refused::internal()),
        };
        let (caller, entry, state) = (user.clone(), subject.clone(), next.state().clone());
        let generation = state.generation;
        self.run("rotate_root_key", subject, move |tx| {
            live_user(tx, &caller)?;
            if !tx.store_vault(&state)? {
                return Err(Refused::new(
                    Code::VersionConflict,
                    "the keys were changed meanwhile",
                    "Look at the log, then try again.",
                )
                .into());
            }
            tx.append(&entry.clone().detail("generation", state.generation))?;
            Ok(())
        })
        .await?;
        self.inner.vault.adopt(next).map_err(|_| Refused::internal())?;
        if let Err(error) = self.inner.settings.root.finish() {
            // The next start finds the new key beside the old one and finishes the move.
            tracing::error!(
                error = cause(&error),
                "the new root key is in use, but not yet in the old one's place"
            );
        }
        Ok((generation.saturating_sub(1).to_string(), generation.to_string()))
    }

    /// What an operator should know of how people are reached.
    fn channel_warnings(&self, unheard: &Unheard) -> Vec<String> {
        let failing = self.failing_channels().into_iter().map(|(channel, why)| {
            format!(
                "The channel {channel} does not take messages: {why} (`vouchsafe notify channels`)."
            )
        });
        let mut warnings: Vec<_> = failing.collect();
        if unheard.approvals > 0 {
            let asks = unheard.approvals;
            warnings.push(format!(
                "{asks} of the asks of the last 24 hours expired, and no message about them had \
                 reached anybody (`vouchsafe audit --action approval.unreached`)."
            ));
        }
        if unheard.messages > 0 {
            let messages = unheard.messages;
            warnings.push(format!(
                "{messages} messages of the last 24 hours were given up (`vouchsafe notify \
                 deliveries --status failed`)."
            ));
        }
        warnings
    }

    fn channel_checks(&self) -> Vec<CheckView> {
        let failing = self.failing_channels();
        let failing = failing.iter();
        let mut checks: Vec<_> = failing
            .map(|(channel, why)| {
                let mend = "Mend it, then `vouchsafe notify test CHANNEL`.";
                fault(&format!("channel {channel}"), why.clone(), mend)
            })
            .collect();
        if checks.is_empty() {
            let told = match self.inner.settings.channels.len() {
                0 => "none is set up: people hear of asks through `vouchsafe watch` and the pages \
                      alone"
                    .to_owned(),
                count => format!("{count} are set up, and none is failing"),
            };
            checks.push(fine("channels", told));
        }
        checks
    }

    fn warnings(&self, stale: bool, notes: &PolicyNotes) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.inner.settings.dev {
            warnings
                .push("This is a dev home: people may approve their own agents' asks.".to_owned());
        }
        if stale {
            warnings.push(
                "The last policy reload was refused; the rules before it are in force \
                 (`vouchsafe policy show`)."
                    .to_owned(),
            );
        }
        warnings.extend(notes.warnings());
        warnings
    }
}

fn not_rotated(error: &SourceError) -> Refused {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Refused::new(
        Code::RootKey,
        format!("{error}{cause}"),
        "Nothing has changed. For a source other than a file, put the new key beside the old one \
         first, under its name with `.new` added.",
    )
}

fn fine(name: &str, detail: String) -> CheckView {
    CheckView { name: name.to_owned(), ok: true, detail, mend: String::new(), warning: false }
}

fn fault(name: &str, detail: String, mend: &str) -> CheckView {
    CheckView { name: name.to_owned(), ok: false, detail, mend: mend.to_owned(), warning: false }
}

fn warning(name: &str, detail: String, mend: &str) -> CheckView {
    CheckView { warning: true, ok: true, ..fault(name, detail, mend) }
}

/// Approvers whom no channel reaches, where channels reach people; nothing where there are none.
fn approvers(reader: &Reader<'_>, channels: &[Channel]) -> Result<Option<CheckView>, Stop> {
    if channels.iter().all(|channel| channel.audience == Audience::Place) {
        return Ok(None);
    }
    let users = reader.users_after("", USERS_MAX)?;
    let approves = |user: &&UserRecord| {
        let here = user.project_roles.iter().map(|project| project.roles);
        user.enabled && here.chain([user.roles]).any(|roles| roles.allow_any(&[Role::Approver]))
    };
    let people: Vec<_> = users.iter().filter(approves).map(UserRecord::person).collect();
    let ask = Occasion {
        event: Event::ApprovalRequested,
        named: None,
        people: &people,
        owner: None,
        decider: None,
        told: &[],
        except: None,
    };
    let asking = Event::ALL.into_iter().filter(|event| event.asks()).collect();
    let untold = untold(channels, &ask, asking);
    if untold.is_empty() {
        let count = people.len();
        return Ok(Some(fine("approvers", format!("channels reach all {count} of them"))));
    }
    let mut told: Vec<_> =
        untold.iter().take(NAMES_MAX).map(|one| format!("{}: {}", one.name, one.why)).collect();
    let more = untold.len().saturating_sub(told.len());
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let mend = "They hear of asks through `vouchsafe watch` and the pages alone. Say where messages \
                reach them: `vouchsafe users update NAME --email .. --notify ..`.";
    Ok(Some(warning("approvers", format!("no channel tells {}", told.join("; ")), mend)))
}
