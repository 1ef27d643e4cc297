//! Messages on their way: one task works out which there are, and one a channel delivers them, so
//! that a slow or dead channel delays no other, and none of them a door.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use vouchsafe_core::id::MessageId;
use vouchsafe_core::route::{Channel, Undelivered};

use crate::broker::{Attempt, Broker, Parcel, Refused};
use crate::notify::Channels;

/// How often a task looks though nothing has woken it.
const EVERY: Duration = Duration::from_millis(500);
/// How long it waits after the store has failed it.
const PAUSE: Duration = Duration::from_secs(1);
/// How long what is under way may take when the broker drains.
const DRAIN: Duration = Duration::from_secs(3);
/// How long one try may take whatever the channel's own limits are.
const TRY_MAX: Duration = Duration::from_mins(10);
/// Errors in a row that are said in the log of the daemon; then every hundredth is.
const LOUD: u32 = 3;

/// Works out the messages for whatever comes into the outbox, until the broker drains.
pub async fn route(broker: Broker) {
    let draining = broker.draining();
    let mut outbox = broker.outbox();
    let mut failed = Failed::default();
    loop {
        loop {
            match broker.route().await {
                Ok(true) => {}
                Ok(false) => {
                    failed = Failed::default();
                    break;
                }
                Err(refused) => {
                    failed.say(&refused, "messages could not be worked out");
                    break;
                }
            }
        }
        tokio::select! {
            _ = outbox.changed() => {}
            () = sleep(EVERY) => {}
            () = draining.cancelled() => return,
        }
    }
}

/// Delivers what is due over one channel, until the broker drains; what is under way then is
/// finished and saved, if it does not take too long: a channel that stalls must not hold up a stop.
/// What is cut off is sent again by the next start, under the same id.
pub async fn carry(broker: Broker, channels: Channels, channel: Channel) {
    let draining = broker.draining();
    let mut bag = broker.mail_bag();
    let mut carrier = Carrier {
        broker,
        channels,
        channel,
        busy: BTreeSet::new(),
        under_way: FuturesUnordered::new(),
        unsaved: Vec::new(),
        failed: Failed::default(),
    };
    let mut last: Option<Instant> = None;
    loop {
        if draining.is_cancelled() {
            let last = *last.get_or_insert_with(|| Instant::now() + DRAIN);
            let done = carrier.under_way.is_empty() && carrier.unsaved.is_empty();
            if done || Instant::now() >= last {
                return;
            }
        } else {
            carrier.begin().await;
        }
        let again = Instant::now() + carrier.rest();
        let again = last.map_or(again, |last| again.min(last));
        tokio::select! {
            Some(attempt) = carrier.under_way.next() => carrier.ended(attempt).await,
            _ = bag.changed(), if last.is_none() => {}
            () = draining.cancelled(), if last.is_none() => {}
            () = sleep_until(again) => carrier.save().await,
        }
    }
}

struct Carrier {
    broker: Broker,
    channels: Channels,
    channel: Channel,
    /// What is under way, or not saved yet: not to be sent again.
    busy: BTreeSet<MessageId>,
    under_way: FuturesUnordered<BoxFuture<'static, Attempt>>,
    unsaved: Vec<Attempt>,
    failed: Failed,
}

/// How often in a row something has failed.
#[derive(Debug, Default)]
struct Failed(u32);

impl Carrier {
    /// Sends what is due, as much as the channel takes at once.
    async fn begin(&mut self) {
        let places = self.channel.at_once.saturating_sub(self.under_way.len());
        if places == 0 || !self.unsaved.is_empty() {
            return;
        }
        let (broker, channel, busy) =
            (self.broker.clone(), self.channel.clone(), self.busy.clone());
        let parcels = async move { broker.parcels(&channel, places, &busy).await };
        match self.meanwhile(parcels).await {
            Ok(parcels) => {
                for parcel in parcels {
                    self.busy.extend(parcel.deliveries.iter().map(|delivery| delivery.id));
                    self.under_way.push(self.attempt(parcel));
                }
            }
            Err(refused) => self.failed.say(&refused, "messages could not be read"),
        }
    }

    fn attempt(&self, parcel: Parcel) -> BoxFuture<'static, Attempt> {
        let (channels, name) = (self.channels.clone(), self.channel.name.clone());
        let Parcel { deliveries, message } = parcel;
        Box::pin(async move {
            let result = match message {
                Ok(message) => timeout(TRY_MAX, channels.deliver(&name, &message))
                    .await
                    .unwrap_or_else(|_| Err(Undelivered::channel("it did not answer", None))),
                Err(why) => Err(Undelivered::never(why)),
            };
            Attempt { deliveries, result }
        })
    }

    /// One try has ended; whatever else has is saved with it.
    async fn ended(&mut self, attempt: Attempt) {
        self.unsaved.push(attempt);
        while let Some(Some(attempt)) = futures_util::FutureExt::now_or_never(self.under_way.next())
        {
            self.unsaved.push(attempt);
        }
        self.save().await;
    }

    /// How long there is nothing to do, if nothing happens.
    fn rest(&self) -> Duration {
        match (self.unsaved.is_empty(), self.failed.0) {
            (true, _) => EVERY,
            (false, 0) => Duration::ZERO,
            (false, _) => PAUSE,
        }
    }

    /// Waits for the store, while what is under way goes on: its time runs out all the same.
    async fn meanwhile<T>(&mut self, store: impl Future<Output = T>) -> T {
        let mut store = pin!(store);
        loop {
            tokio::select! {
                done = &mut store => return done,
                Some(attempt) = self.under_way.next() => self.unsaved.push(attempt),
            }
        }
    }

    /// Saves how tries went. What cannot be saved is kept, and not sent again meanwhile.
    async fn save(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let (broker, channel, attempts) =
            (self.broker.clone(), self.channel.name.clone(), self.unsaved.clone());
        let count = attempts.len();
        let saved = async move { broker.attempted(&channel, attempts).await };
        match self.meanwhile(saved).await {
            Ok(()) => {
                self.failed = Failed::default();
                // Others may have ended while these were saved.
                for attempt in self.unsaved.drain(..count) {
                    for delivery in attempt.deliveries {
                        self.busy.remove(&delivery.id);
                    }
                }
            }
            Err(refused) => self.failed.say(&refused, "deliveries could not be saved"),
        }
    }
}

impl Failed {
    fn say(&mut self, refused: &Refused, what: &'static str) {
        self.0 = self.0.saturating_add(1);
        if self.0 <= LOUD || self.0.is_multiple_of(100) {
            tracing::warn!(code = %refused.code, failed = self.0, "{what}");
        }
    }
}
