//! The queue of one channel: what is due, and how each try went.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::{Action, Entry, Outcome, Via};
use vouchsafe_core::id::{MessageId, UserId};
use vouchsafe_core::route::{
    Again, Audience, Body, Channel, ChannelName, DeliveryStatus, Event, Message, Receipt,
    Undelivered,
};
use vouchsafe_core::text::echo;
use vouchsafe_core::time::{Now, UnixTime};

use super::super::{Broker, Refused, Stop, entries, random};
use super::Pause;
use crate::store::{Delivery, Held, Reader, Tx};

/// Messages that one look takes at most.
const LOOK_MAX: u32 = 64;
/// Messages that one digest by e-mail holds at most; what is more comes in the next.
const DIGEST_MAX: u32 = 200;
/// The same in Slack, where a message has so many blocks and no more.
const DIGEST_SLACK_MAX: u32 = 15;
/// How long a message waits after its first failed try; each next wait is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// How long it waits at most.
const RETRY_MAX: Duration = Duration::from_mins(15);
/// The same for a channel that does not answer.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// How long a channel pauses at most, unless it says so itself.
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// The longest that a channel's own word is taken for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// How long a channel may fail before the operator is told.
const ALARM_AFTER: Duration = Duration::from_mins(5);
/// How often the operator is told of the same channel.
const ALARM_EVERY: Duration = Duration::from_hours(1);
/// How long messages are kept that are settled.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);
/// How often old ones are looked for.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Messages that are forgotten in one transaction.
const FORGOTTEN_MAX: u32 = 1_000;
/// How much of a channel's words is kept, in characters.
const PROBLEM_CHARS_MAX: usize = 300;

/// A message to be sent, and the rows that it settles: one, or all of a digest.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The rows.
    pub deliveries: Vec<Delivery>,
    /// What is to be sent, or why it cannot be.
    pub message: Result<Message, String>,
}

/// One try, and how it went.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The rows that it settles.
    pub deliveries: Vec<Delivery>,
    /// What the channel said.
    pub result: Result<Receipt, Undelivered>,
}

impl Broker {
    /// What a channel is to deliver now: `most` messages at most, none of those that are `busy`,
    /// and nothing while it pauses. After a pause one message goes ahead of the others.
    pub async fn parcels(
        &self,
        channel: &Channel,
        most: usize,
        busy: &BTreeSet<MessageId>,
    ) -> Result<Vec<Parcel>, Refused> {
        let now = self.now();
        let most = match self.pause_of(&channel.name) {
            Some(pause) if pause.until > now.wall => 0,
            Some(_) => most.min(usize::from(busy.is_empty())),
            None => most,
        };
        if most == 0 {
            return Ok(Vec::new());
        }
        let composer = self.composer(channel);
        let (carrier, busy) = (channel.clone(), busy.clone());
        let digest_max = match channel.audience {
            Audience::Email | Audience::Place => DIGEST_MAX,
            Audience::SlackUser => DIGEST_SLACK_MAX,
        };
        let (parcels, moot) = self
            .look("parcels", move |reader| {
                let limit = u32::try_from(busy.len()).unwrap_or(u32::MAX).saturating_add(LOOK_MAX);
                let due = reader.due_deliveries(&carrier.name, now.wall, limit)?;
                let mut told = BTreeSet::<UserId>::new();
                let (mut parcels, mut moot) = (Vec::new(), Vec::new());
                for delivery in due.into_iter().filter(|delivery| !busy.contains(&delivery.id)) {
                    if parcels.len() >= most {
                        break;
                    }
                    if is_moot(reader, &carrier, &delivery)? {
                        moot.push(delivery.id);
                        continue;
                    }
                    let digest = delivery.user.filter(|_| delivery.held == Held::Digest);
                    let Some(user) = digest else {
                        let message = composer.one(reader, &delivery)?;
                        parcels.push(Parcel { deliveries: vec![delivery], message });
                        continue;
                    };
                    if told.insert(user) {
                        let all =
                            reader.digest_deliveries(&carrier.name, user, now.wall, digest_max)?;
                        if all.iter().any(|delivery| busy.contains(&delivery.id)) {
                            continue;
                        }
                        let mut deliveries = Vec::new();
                        for delivery in all {
                            if !is_moot(reader, &carrier, &delivery)? {
                                deliveries.push(delivery);
                            }
                        }
                        parcels.extend(composer.digests(reader, deliveries)?);
                    }
                }
                Ok((parcels, moot))
            })
            .await?;
        self.drop_moot(moot).await;
        let mut linked = Vec::new();
        for parcel in parcels {
            linked.push(self.with_link(channel, parcel).await);
        }
        Ok(linked)
    }

    /// Takes reminders out that have nothing left to remind of, and has the channel look again:
    /// what is behind them in their lanes may leave.
    async fn drop_moot(&self, moot: Vec<MessageId>) {
        if moot.is_empty() {
            return;
        }
        let subject = entries::by_system(Action::MESSAGE_FAILED);
        let dropped = self.run_essential("drop_moot", subject, move |tx| {
            for id in &moot {
                tx.drop_delivery(*id)?;
            }
            Ok(())
        });
        match dropped.await {
            Ok(()) => self.inner.delivering.wake(),
            // They wait, unsent, until it can be saved.
            Err(refused) => tracing::warn!(code = %refused.code, "old reminders were not dropped"),
        }
    }

    /// Adds the link that answers without signing in, where such links are on.
    async fn with_link(&self, channel: &Channel, parcel: Parcel) -> Parcel {
        let mut parcel = parcel;
        let user = parcel.deliveries.first().and_then(|delivery| delivery.user);
        if !self.inner.settings.one_time_links || channel.name != ChannelName::email() {
            return parcel;
        }
        if let (
            Some(user),
            Ok(Message { to: Some(to), body: Body::Facts { answer: Some(answer), .. }, .. }),
        ) = (user, &mut parcel.message)
        {
            let (approval, until) = (answer.approval, answer.until);
            let made = self.one_time_link(user, &to.address, approval, &answer.digest, until).await;
            match made {
                Ok(link) => answer.one_time = Some(link),
                // The page takes the answer all the same.
                Err(refused) => tracing::warn!(code = %refused.code, "no one-time link was made"),
            }
        }
        parcel
    }

    /// Saves how tries went, together.
    pub async fn attempted(
        &self,
        channel: &ChannelName,
        attempts: Vec<Attempt>,
    ) -> Result<(), Refused> {
        let mut jitters = Vec::new();
        for _ in &attempts {
            jitters.push(u32::from_be_bytes(random()?));
        }
        let failing = attempts.iter().rev().find_map(|attempt| match &attempt.result {
            Err(Undelivered { why, again: Again::Channel(after) }) => Some((why.clone(), *after)),
            Ok(_) | Err(_) => None,
        });
        // Whatever it says to one message, it answers.
        let answers = attempts.iter().any(|attempt| match &attempt.result {
            Ok(_) => true,
            Err(failed) => !matches!(failed.again, Again::Channel(_)),
        });
        let pause = match &failing {
            Some((why, after)) => {
                let jitter = jitters.first().copied().unwrap_or_default();
                Some(self.longer_pause(channel, why, *after, jitter))
            }
            None => None,
        };
        let alarm = self.alarm_due(channel, pause.as_ref(), &attempts);
        let (name, alarmed) = (channel.clone(), alarm.clone());
        let subject = entries::by_system(Action::MESSAGE_FAILED);
        // Also on a full disk: what was sent and not noted would be sent again.
        let saved = self.run_essential("attempted", subject, move |tx| {
            let mut outcomes = Vec::new();
            for (attempt, jitter) in attempts.iter().zip(&jitters) {
                for delivery in &attempt.deliveries {
                    outcomes.push(save(tx, delivery, &attempt.result, *jitter)?);
                }
            }
            if let Some(problem) = &alarmed {
                tx.append(&failing_entry(&name, problem))?;
            }
            Ok(outcomes)
        });
        for outcome in saved.await? {
            self.inner.count.delivered(channel.as_str(), outcome);
        }
        self.set_pause(channel, pause, answers, alarm.is_some());
        Ok(())
    }

    /// Gives up what was to be delivered by now and was not, and what no channel carries any more.
    pub(super) async fn give_up_late(&self) -> Result<bool, Refused> {
        let now = self.now().wall;
        let known: BTreeSet<ChannelName> =
            self.inner.settings.channels.iter().map(|channel| channel.name.clone()).collect();
        let orphans = known.clone();
        let late = self
            .look("late", move |reader| {
                let late = !reader.late_deliveries(now, 1)?.is_empty();
                let waiting = reader.waiting_deliveries()?;
                Ok(late || waiting.iter().any(|waiting| !orphans.contains(&waiting.channel)))
            })
            .await?;
        if !late {
            return Ok(false);
        }
        let subject = entries::by_system(Action::MESSAGE_FAILED);
        let pauses = self.inner.delivering.pauses().clone();
        let given_up = self.run("give_up", subject, move |tx| {
            let mut late = tx.late_deliveries(tx.now().wall, LOOK_MAX)?;
            for waiting in tx.waiting_deliveries()? {
                if !known.contains(&waiting.channel) {
                    let queued = DeliveryStatus::Queued;
                    late.extend(tx.channel_deliveries(&waiting.channel, queued, LOOK_MAX)?);
                }
            }
            let full = late.len() >= usize::try_from(LOOK_MAX).unwrap_or(usize::MAX);
            let channels: Vec<_> = late.iter().map(|delivery| delivery.channel.clone()).collect();
            for delivery in late {
                let pause = pauses.get(&delivery.channel).filter(|pause| pause.strikes > 0);
                let why = match (pause, &delivery.problem) {
                    _ if !known.contains(&delivery.channel) => {
                        format!("there is no channel {} any more", delivery.channel)
                    }
                    (Some(pause), _) => pause.why.clone(),
                    (None, Some(problem)) => problem.clone(),
                    (None, None) => "it could not be delivered in time".to_owned(),
                };
                let attempts = delivery.attempts;
                give_up(tx, &delivery, attempts, &why)?;
            }
            Ok((full, channels))
        });
        let (full, channels) = given_up.await?;
        for channel in channels {
            self.inner.count.delivered(channel.as_str(), "failed");
        }
        Ok(full)
    }

    fn forgotten_at(&self) -> MutexGuard<'_, Option<UnixTime>> {
        self.inner.delivering.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets messages that were settled long ago, some of them; whether there may be more.
    pub(super) async fn forget_old(&self) -> Result<bool, Refused> {
        let now = self.now().wall;
        {
            let mut forgotten_at = self.forgotten_at();
            if forgotten_at.is_some_and(|at| now.since(at) < FORGET_EVERY) {
                return Ok(false);
            }
            *forgotten_at = Some(now);
        }
        let before = now.minus(KEPT_FOR);
        let old = self.look("old", move |reader| Ok(reader.has_deliveries_before(before)?)).await?;
        if !old {
            return Ok(false);
        }
        let subject = entries::by_system(Action::MESSAGE_FAILED);
        let forgotten = self
            .run("forget", subject, move |tx| Ok(tx.forget_deliveries(before, FORGOTTEN_MAX)?))
            .await;
        let most = usize::try_from(FORGOTTEN_MAX).unwrap_or(usize::MAX);
        if forgotten.as_ref().map_or(true, |count| *count >= most) {
            // There is more, or it has to be tried again.
            *self.forgotten_at() = None;
        }
        Ok(forgotten? >= most)
    }

    pub(super) fn pause_of(&self, channel: &ChannelName) -> Option<Pause> {
        self.inner.delivering.pauses().get(channel).filter(|pause| pause.strikes > 0).cloned()
    }

    fn longer_pause(
        &self,
        channel: &ChannelName,
        why: &str,
        after: Option<Duration>,
        jitter: u32,
    ) -> Pause {
        let now = self.now().wall;
        let before = self.inner.delivering.pauses().get(channel).cloned();
        // Several that were under way together are one failure.
        let paused = before.as_ref().filter(|pause| pause.strikes > 0 && pause.until > now);
        let again = u32::from(paused.is_none());
        let strikes = before.as_ref().map_or(0, |pause| pause.strikes).saturating_add(again);
        let wait = match after {
            Some(after) => after.min(RETRY_AFTER_MAX),
            None => backoff(PAUSE_FIRST, PAUSE_MAX, strikes, jitter),
        };
        let since = before.as_ref().filter(|pause| pause.strikes > 0).map_or(now, |p| p.since);
        Pause {
            why: echo(why, PROBLEM_CHARS_MAX),
            until: paused.map_or(now, |pause| pause.until).max(now.plus(wait)),
            since,
            strikes,
            alarmed_at: before.and_then(|pause| pause.alarmed_at),
        }
    }

    /// What the operator has to be told of a channel now.
    fn alarm_due(
        &self,
        channel: &ChannelName,
        pause: Option<&Pause>,
        attempts: &[Attempt],
    ) -> Option<String> {
        let now = self.now().wall;
        let known = self.inner.delivering.pauses().get(channel).cloned();
        let alarmed_at = known.and_then(|pause| pause.alarmed_at);
        if alarmed_at.is_some_and(|at| now.since(at) < ALARM_EVERY) {
            return None;
        }
        let long = pause.filter(|pause| now.since(pause.since) >= ALARM_AFTER);
        // A place that refuses one message refuses the next; of people, one may be gone.
        let refused = attempts.iter().find_map(|attempt| match &attempt.result {
            Err(failed) => {
                let never = failed.again == Again::Never;
                let is_due = |delivery: &Delivery| {
                    delivery.user.is_none()
                        && (never || now.since(delivery.queued_at) >= ALARM_AFTER)
                };
                attempt.deliveries.iter().all(is_due).then(|| failed.why.clone())
            }
            Ok(_) => None,
        });
        long.map(|pause| pause.why.clone()).or(refused)
    }

    fn set_pause(&self, channel: &ChannelName, pause: Option<Pause>, answers: bool, alarmed: bool) {
        let now = self.now().wall;
        let mut pauses = self.inner.delivering.pauses();
        if let Some(pause) = pause {
            if pause.strikes == 1 {
                tracing::warn!(%channel, why = pause.why, "a channel does not take messages");
            }
            pauses.insert(channel.clone(), pause);
        } else if answers
            && let Some(known) = pauses.get_mut(channel)
            // What was under way when it asked to be left alone says nothing of that.
            && known.until <= now
        {
            if known.strikes > 0 {
                tracing::info!(%channel, "the channel takes messages again");
            }
            known.strikes = 0;
        }
        if alarmed {
            let none =
                Pause { why: String::new(), until: now, since: now, strikes: 0, alarmed_at: None };
            pauses.entry(channel.clone()).or_insert(none).alarmed_at = Some(now);
        }
    }
}

/// Whether this reminds people of an approval that has settled by now. A feed hears of it all the
/// same.
fn is_moot(reader: &Reader<'_>, channel: &Channel, delivery: &Delivery) -> Result<bool, Stop> {
    let (Event::ApprovalReminder, Some(id), false) =
        (delivery.event, delivery.approval, channel.feed)
    else {
        return Ok(false);
    };
    Ok(!matches!(reader.approval(id)?, Some(Approval::Pending(_))))
}

/// Twice as long each time, up to a bound; between half of that and all of it, so that not everybody
/// comes back at once.
fn backoff(first: Duration, most: Duration, tries: u32, jitter: u32) -> Duration {
    let doubled =
        first.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(most);
    let half = whole / 2;
    half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
}

/// Saves how one try of one message went, and says that as it is counted.
fn save(
    tx: &mut Tx<'_>,
    delivery: &Delivery,
    result: &Result<Receipt, Undelivered>,
    jitter: u32,
) -> Result<&'static str, Stop> {
    let now: Now = tx.now().clone();
    // As it is by now: it may have been given up while it was under way, and queued again.
    let delivery = &tx.delivery(delivery.id)?.unwrap_or_else(|| delivery.clone());
    let attempts = delivery.attempts.saturating_add(1);
    let failed = match result {
        Ok(receipt) => {
            tx.save_delivery(&Delivery {
                status: DeliveryStatus::Sent,
                due_at: None,
                attempts,
                settled_at: Some(now.wall),
                problem: None,
                // A digest is not to be changed for the sake of one of its messages.
                receipt: receipt.handle.clone().filter(|_| delivery.held != Held::Digest),
                ..delivery.clone()
            })?;
            // Whoever answered before this was saved has answered it.
            if let (Some(approval), true) = (delivery.approval, delivery.event.asks()) {
                for vote in tx.approval(approval)?.iter().flat_map(Approval::votes) {
                    let in_slack = vote.via == Via::Slack.as_str();
                    tx.answered_deliveries(approval, vote.voter, in_slack)?;
                }
            }
            return Ok("sent");
        }
        Err(failed) => failed,
    };
    let wait = match failed.again {
        Again::Never => None,
        // After the channel's pause another goes first: should it be this message that the channel
        // cannot take, it holds up no other.
        Again::Channel(after) => {
            let wait = backoff(PAUSE_FIRST, PAUSE_MAX, attempts, jitter);
            Some(after.unwrap_or_default().min(RETRY_AFTER_MAX).max(wait))
        }
        Again::Message(Some(after)) => Some(after.min(RETRY_AFTER_MAX)),
        Again::Message(None) => Some(backoff(RETRY_FIRST, RETRY_MAX, attempts, jitter)),
    };
    let due_at = wait.map(|wait| now.wall.plus(wait));
    let Some(due_at) = due_at.filter(|due| *due < delivery.give_up_at) else {
        give_up(tx, delivery, attempts, &failed.why)?;
        return Ok("failed");
    };
    tx.save_delivery(&Delivery {
        due_at: Some(due_at),
        attempts,
        problem: Some(echo(&failed.why, PROBLEM_CHARS_MAX)),
        ..delivery.clone()
    })?;
    Ok("retried")
}

/// A message that is tried no more, and the log says so.
fn give_up(tx: &mut Tx<'_>, delivery: &Delivery, attempts: u32, why: &str) -> Result<(), Stop> {
    let why = echo(why, PROBLEM_CHARS_MAX);
    let changed = tx.save_delivery(&Delivery {
        status: DeliveryStatus::Failed,
        due_at: None,
        attempts,
        settled_at: Some(tx.now().wall),
        problem: Some(why.clone()),
        ..delivery.clone()
    })?;
    if !changed {
        return Ok(());
    }
    let mut entry = entries::by_system(Action::MESSAGE_FAILED)
        .outcome(Outcome::Failed)
        .detail("message", delivery.id.to_string())
        .detail("channel", delivery.channel.as_str())
        .detail("event", delivery.event.as_str())
        .detail("attempts", attempts)
        .detail("problem", why);
    if let Some(project) = &delivery.project {
        entry = entry.project(project);
    }
    if let Some(approval) = delivery.approval {
        entry = entry.approval(approval);
    }
    if let Some(name) = &delivery.user_name {
        entry = entry.detail("to", name.as_str());
    }
    tx.append(&entry)?;
    Ok(())
}

fn failing_entry(channel: &ChannelName, problem: &str) -> Entry {
    entries::by_system(Action::CHANNEL_FAILING)
        .detail("channel", channel.as_str())
        .detail("problem", echo(problem, PROBLEM_CHARS_MAX))
}
