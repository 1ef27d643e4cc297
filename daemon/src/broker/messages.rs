//! Telling people: which messages an entry of the log brings about ([`routing`]), what they say
//! ([`compose`]), how their delivery goes ([`queue`]), and what people may see of that ([`desk`]).

mod compose;
mod desk;
mod queue;
mod routing;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use vouchsafe_core::approval::{Approval, Expired, ExpiryCause, Pending};
use vouchsafe_core::audit::Action;
use vouchsafe_core::route::{ChannelName, Message, Receipt, Undelivered};
use vouchsafe_core::time::UnixTime;

pub(super) use self::desk::shown;
pub use self::queue::{Attempt, Parcel};
pub(super) use self::routing::not_told;
use super::{Broker, Refused, Stop, entries};
use crate::store::Tx;

/// Whoever delivers a message at once, outside of the queue: what is tried, and what holds a
/// secret that may not be kept.
pub trait Post: fmt::Debug + Send + Sync {
    /// Delivers one message over a channel, and says how that went.
    fn deliver<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>>;
}

/// What is known of the channels besides what is stored: it may be forgotten with the process.
#[derive(Debug)]
pub(super) struct Delivering {
    /// Says "look again" to whoever delivers.
    wake: watch::Sender<u64>,
    pauses: Mutex<HashMap<ChannelName, Pause>>,
    forgotten_at: Mutex<Option<UnixTime>>,
}

/// A channel that does not take messages.
#[derive(Clone, Debug)]
struct Pause {
    /// Why.
    why: String,
    /// When it is tried again.
    until: UnixTime,
    /// Since when.
    since: UnixTime,
    /// How often in a row it was tried.
    strikes: u32,
    /// When the operator was last told.
    alarmed_at: Option<UnixTime>,
}

impl Default for Delivering {
    fn default() -> Self {
        Self { wake: watch::channel(0).0, pauses: Mutex::default(), forgotten_at: Mutex::default() }
    }
}

impl Delivering {
    fn pauses(&self) -> MutexGuard<'_, HashMap<ChannelName, Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Broker {
    /// Changes whenever there may be something to route.
    pub fn outbox(&self) -> watch::Receiver<u64> {
        self.inner.store.outbox()
    }

    /// Changes whenever there may be something to deliver.
    pub fn mail_bag(&self) -> watch::Receiver<u64> {
        self.inner.delivering.wake.subscribe()
    }

    /// What goes on with the messages by itself: those are given up whose time is over, and old
    /// ones are forgotten.
    pub(super) async fn keep_messages(&self) -> Result<bool, Refused> {
        // Time may have come for what was held.
        self.inner.delivering.wake();
        let given_up = self.give_up_late().await?;
        let forgotten = self.forget_old().await?;
        self.count_queued().await?;
        Ok(given_up || forgotten)
    }
}

impl Broker {
    /// Tells whoever counts what waits in each channel.
    async fn count_queued(&self) -> Result<(), Refused> {
        if self.inner.settings.channels.is_empty() {
            return Ok(());
        }
        let waiting = self.look("count_queued", |reader| Ok(reader.waiting_deliveries()?)).await?;
        for channel in &self.inner.settings.channels {
            let waits = waiting.iter().find(|waiting| waiting.channel == channel.name);
            let messages = waits.map_or(0, |waiting| waiting.messages);
            self.inner.count.queued(channel.name.as_str(), messages);
        }
        Ok(())
    }
}

/// Ends an approval if its time is up. Where no message about it had reached anybody, and nobody
/// has answered, that is said: it is not a denial.
pub(super) fn expire(tx: &Tx<'_>, pending: Pending) -> Result<Approval, Stop> {
    let approval = pending.expire(tx.now());
    match approval {
        Approval::Expired(expired)
            if expired.cause == ExpiryCause::Unanswered
                && expired.votes.is_empty()
                && !tx.was_heard_of(expired.ask.id)? =>
        {
            Ok(Approval::Expired(Expired { cause: ExpiryCause::NobodyReached, ..expired }))
        }
        approval => Ok(approval),
    }
}

/// Alarms the operator where an approval has expired that nobody was told of.
pub(super) fn alarm_unreached(tx: &mut Tx<'_>, approval: &Approval) -> Result<(), Stop> {
    if approval.is_unreached() {
        let id = approval.ask().id;
        tracing::error!(%id, "an approval expired, and no message about it had reached anybody");
        let entry = entries::by_system(Action::APPROVAL_UNREACHED);
        tx.append(&entries::about_ask(entry, approval.ask()))?;
    }
    Ok(())
}
