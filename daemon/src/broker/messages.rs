//! Telling people: which messages an entry of the log brings about, what they say, and how their
//! delivery went.

use futures_util::future::BoxFuture;
use std::fmt;
use vouchsafe_core::caller::User;
use vouchsafe_core::route::{ChannelName, Message, Receipt, Undelivered};

use super::{Broker, ChannelTest, ChannelView, DeliveryQuery, Page, Paged, Refused, Retry};
use crate::store::Delivery;

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

impl Broker {
    /// Every channel, with what waits in it.
    pub async fn list_channels(&self, _user: &User) -> Result<Vec<ChannelView>, Refused> {
        Err(Refused::internal())
    }

    /// Sends a real message over a channel, to whoever asks where it reaches people.
    pub async fn test_channel(
        &self,
        _user: &User,
        _channel: &ChannelName,
    ) -> Result<ChannelTest, Refused> {
        Err(Refused::internal())
    }

    /// Messages newest first.
    pub async fn list_deliveries(
        &self,
        _user: &User,
        _query: DeliveryQuery,
        _page: Page,
    ) -> Result<Paged<Delivery>, Refused> {
        Err(Refused::internal())
    }

    /// Queues messages again that were given up; how many.
    pub async fn retry_deliveries(&self, _user: &User, _which: Retry) -> Result<u32, Refused> {
        Err(Refused::internal())
    }
}
