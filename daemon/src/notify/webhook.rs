//! Webhooks.

use futures_util::future::BoxFuture;
use vouchsafe_core::route::{Channel, Message, Receipt, Undelivered};

use super::{Carrier, ChannelError};
use crate::config;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Hook {
    channel: Channel,
}

impl Hook {
    pub(super) fn build(
        _config: &config::Webhook,
        _private_hosts: &[String],
    ) -> Result<Self, ChannelError> {
        unimplemented!("webhook")
    }
}

impl Carrier for Hook {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, _message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        unimplemented!("webhook")
    }
}
