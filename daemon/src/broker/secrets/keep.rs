//! What becomes due of secrets with time: they are rotated by their schedules, people are reminded
//! of their dates, and what is not kept any longer is wiped.

use vouchsafe_core::audit::Action;
use vouchsafe_core::project::Project;
use vouchsafe_core::secret::next_reminder;
use vouchsafe_core::time::{Now, UnixTime};

use super::settings::of;
use crate::broker::{Broker, Refused, SecretRecord, Stop, entries};
use crate::store::{OldProposal, Reader, Tidied, Tx, Upkeep};

/// How often is looked for what is not kept any longer, in milliseconds.
const WIPE_EVERY_MS: u64 = 60_000;
/// How long nothing is tried after something has failed, in milliseconds: making a value may be
/// much work for a full disk to refuse.
const REST_MS: u64 = 60_000;
/// Values that are wiped in one transaction: a few megabytes at most.
const WIPE_BATCH: usize = 50;
/// Rows that are looked at in one transaction.
const ROWS: u32 = 200;
/// The fact that something was wiped and may still be somewhere in the files.
const UNTIDY: &str = "untidy";

/// When what was done last, by the clock that nobody sets.
#[derive(Debug, Default)]
pub(in crate::broker) struct Keeping {
    /// When nothing was left to wipe.
    wiped_ms: Option<u64>,
    /// When something failed, or somebody was in the way.
    failed_ms: Option<u64>,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// There may be more to do at once.
    More,
    /// There is nothing to do.
    Done,
    /// There is, and not now.
    Later,
}

/// How long what is kept.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Secrets that were deleted by then are not kept any longer.
    deleted: UnixTime,
    /// So many versions are kept of each.
    versions: u32,
}

impl Broker {
    /// One step of keeping secrets up. May be run at any time and any number of times. Answers
    /// whether there is more to do at once.
    pub(in crate::broker) async fn keep_secrets(&self) -> Result<bool, Refused> {
        // One at a time, so that no value is made for nothing.
        let mut keeping = self.inner.keeping.lock().await;
        let now = self.now();
        if keeping.failed_ms.is_some_and(|at| is_within(at, REST_MS, &now)) {
            return Ok(false);
        }
        let step = self.keep_step(&mut keeping, &now).await;
        keeping.failed_ms = match &step {
            Ok(Step::More | Step::Done) => None,
            Ok(Step::Later) | Err(_) => Some(now.since_boot_ms),
        };
        Ok(step? == Step::More)
    }

    async fn keep_step(&self, keeping: &mut Keeping, now: &Now) -> Result<Step, Refused> {
        let wall = now.wall;
        let due = self.look("secrets_due", move |reader| {
            let remind = !reader.secrets_to_remind(wall, 1)?.is_empty();
            let untidy = reader.meta(UNTIDY)?.is_some_and(|is| is == "yes");
            Ok((remind, reader.secrets_to_rotate(wall, 1)?.pop(), untidy))
        });
        let (must_remind, to_rotate, untidy) = due.await?;
        if must_remind {
            let subject = entries::by_system(Action::SECRET_EXPIRING);
            self.run("remind", subject, remind).await?;
            return Ok(Step::More);
        }
        if let Some(secret) = to_rotate {
            self.rotate_by_schedule(secret).await?;
            return Ok(Step::More);
        }
        if !keeping.wiped_ms.is_some_and(|at| is_within(at, WIPE_EVERY_MS, now)) {
            if !self.wipe(wall).await? {
                keeping.wiped_ms = Some(now.since_boot_ms);
            }
            return Ok(Step::More);
        }
        if untidy { self.tidy().await } else { Ok(Step::Done) }
    }

    /// Wipes some of what is not kept any longer; whether there was anything.
    async fn wipe(&self, now: UnixTime) -> Result<bool, Refused> {
        let settings = &self.inner.settings;
        let terms =
            Terms { deleted: now.minus(settings.undelete_for), versions: settings.keep_versions };
        let is_due = self.look("to_wipe", move |reader| is_due(reader, now, terms));
        if !is_due.await? {
            return Ok(false);
        }
        let subject = entries::by_system(Action::SECRET_PURGED);
        self.run("wipe", subject, move |tx| wipe(tx, terms)).await?;
        Ok(true)
    }

    /// One step towards files that hold nothing of what was wiped.
    async fn tidy(&self) -> Result<Step, Refused> {
        let tidied = self.inner.store.tidy().await;
        match tidied.map_err(|error| Refused::from_store(&error))? {
            Tidied::More => return Ok(Step::More),
            Tidied::Held => return Ok(Step::Later),
            Tidied::Done => {}
        }
        let subject = entries::by_system(Action::SECRET_PURGED);
        self.run("tidied", subject, |tx| Ok(tx.set_meta(UNTIDY, "no")?)).await?;
        Ok(Step::Done)
    }
}

fn is_within(since_boot_ms: u64, long_ms: u64, now: &Now) -> bool {
    now.since_boot_ms.checked_sub(since_boot_ms).is_some_and(|passed| passed < long_ms)
}

/// Notes that people are to be reminded of a secret's date, each time once. What was missed while
/// the daemon was away is told once.
fn remind(tx: &mut Tx<'_>) -> Result<(), Stop> {
    let now = tx.now().wall;
    for mut secret in tx.secrets_to_remind(now, ROWS)? {
        let project = project_of(tx, &secret)?;
        if let Some(date) = secret.upkeep.expires_at {
            let owner = secret.upkeep.owner.map(|owner| tx.user(owner)).transpose()?.flatten();
            let days = date.since(now).as_secs() / (24 * 60 * 60);
            let entry = of(entries::by_system(Action::SECRET_EXPIRING), &project, &secret)
                .detail("expires_at", date.rfc3339())
                .detail("days_left", days);
            tx.append(&match owner {
                Some(owner) => entry.detail("owner", owner.name.as_str()),
                None => entry,
            })?;
        }
        let date = secret.upkeep.expires_at;
        secret.upkeep.remind_at = date.and_then(|date| next_reminder(date, Some(now)));
        tx.save_secret(&secret)?;
    }
    Ok(())
}

fn is_due(reader: &Reader<'_>, now: UnixTime, terms: Terms) -> Result<bool, Stop> {
    Ok(!reader.proposals_to_purge(now, 1)?.is_empty()
        || !reader.secrets_to_purge(terms.deleted, 1)?.is_empty()
        || !reader.secrets_to_thin(terms.versions, 1)?.is_empty())
}

/// Wipes as many values as one transaction should.
fn wipe(tx: &mut Tx<'_>, terms: Terms) -> Result<(), Stop> {
    let mut left = WIPE_BATCH;
    for proposal in tx.proposals_to_purge(tx.now().wall, ROWS)?.into_iter().take(left) {
        left = left.saturating_sub(1);
        wipe_proposal(tx, &proposal)?;
    }
    for secret in tx.secrets_to_purge(terms.deleted, ROWS)? {
        if left > 0 {
            left = left.saturating_sub(purge(tx, secret, left)?);
        }
    }
    for secret in tx.secrets_to_thin(terms.versions, ROWS)? {
        if left > 0 {
            left = left.saturating_sub(thin(tx, &secret, terms, left)?);
        }
    }
    tx.set_meta(UNTIDY, "yes")?;
    Ok(())
}

/// A value that nobody needs any more. What was kept for people is gone for them, which the log
/// says; of the others it says how their approvals ended.
fn wipe_proposal(tx: &mut Tx<'_>, proposal: &OldProposal) -> Result<(), Stop> {
    tx.wipe_proposal(proposal)?;
    if proposal.was_kept {
        let project = tx.project(proposal.project)?.ok_or_else(Refused::internal)?;
        let entry = entries::by_system(Action::SECRET_PURGED).project(project.name.as_str());
        tx.append(&entry.approval(proposal.approval).detail("what", "a proposed value"))?;
    }
    Ok(())
}

/// Wipes values of a deleted secret, `most` of them; how many. With the last one, what was said of
/// the secret goes too. Its row and those of its versions stay, so that the log's ids have a name.
fn purge(tx: &mut Tx<'_>, mut secret: SecretRecord, most: usize) -> Result<usize, Stop> {
    let values = tx.values_up_to(secret.id, u64::MAX, most)?;
    for value in &values {
        tx.wipe_value(secret.id, value)?;
    }
    if values.len() < most {
        secret.purged_at = Some(tx.now().wall);
        secret.description.clear();
        secret.upkeep = Upkeep::default();
        tx.save_secret(&secret)?;
        let project = project_of(tx, &secret)?;
        let entry = of(entries::by_system(Action::SECRET_PURGED), &project, &secret);
        let entry = entry.detail("what", "a deleted secret").detail("id", secret.id.to_string());
        tx.append(&entry.detail("version", secret.version))?;
    }
    Ok(values.len().max(1))
}

/// Wipes values beyond those that are kept of a secret, `most` of them; how many.
fn thin(tx: &mut Tx<'_>, secret: &SecretRecord, terms: Terms, most: usize) -> Result<usize, Stop> {
    let last = secret.version.saturating_sub(u64::from(terms.versions));
    let values = tx.values_up_to(secret.id, last, most)?;
    for value in &values {
        tx.wipe_value(secret.id, value)?;
    }
    let project = project_of(tx, secret)?;
    let versions: Vec<_> = values.iter().map(|value| value.version).collect();
    let entry = of(entries::by_system(Action::SECRET_PURGED), &project, secret);
    tx.append(&entry.detail("what", "old versions").detail("versions", versions))?;
    Ok(values.len())
}

fn project_of(reader: &Reader<'_>, secret: &SecretRecord) -> Result<Project, Stop> {
    Ok(reader.project(secret.project)?.ok_or_else(Refused::internal)?)
}
