//! E-mail over SMTP.

use futures_util::future::BoxFuture;
use vouchsafe_core::route::{Channel, Message, Receipt, Undelivered};

use super::{Carrier, ChannelError};
use crate::config;

/// The channel `email`.
#[derive(Debug)]
pub(super) struct Mailer {
    channel: Channel,
}

impl Mailer {
    pub(super) fn build(_config: &config::Email) -> Result<Self, ChannelError> {
        unimplemented!("email")
    }
}

impl Carrier for Mailer {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, _message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        unimplemented!("email")
    }
}
