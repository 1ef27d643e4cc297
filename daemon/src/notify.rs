//! The channels: each delivers one message, and says how that went. When a message is tried again
//! is decided elsewhere; nothing here keeps or repeats anything.

mod email;
mod guard;
mod private_file;
mod slack;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use vouchsafe_core::route::{Channel, ChannelName, Message, Receipt, Undelivered};

pub use self::slack::SlackBots;
use crate::clock::Clock;
use crate::config;

/// Every channel that is set up, by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    all: BTreeMap<ChannelName, Arc<dyn Carrier>>,
    slack: SlackBots,
}

/// One channel.
pub(crate) trait Carrier: fmt::Debug + Send + Sync {
    /// What routing has to know of it.
    fn channel(&self) -> &Channel;

    /// Delivers one message, within the channel's own time. The same message may come again, with
    /// the same id.
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>>;
}

/// A channel that cannot be set up, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the channel {channel}: {problem}")]
pub struct ChannelError {
    /// Which.
    pub channel: ChannelName,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Channels {
    /// Sets every channel up; nothing is connected to yet. Reads the files that secrets are in.
    /// The clock says when a message is sent.
    pub fn build(config: &config::Notify, clock: &Arc<dyn Clock>) -> Result<Self, ChannelError> {
        let mut all: BTreeMap<ChannelName, Arc<dyn Carrier>> = BTreeMap::new();
        if let Some(email) = &config.email {
            all.insert(ChannelName::email(), Arc::new(email::Mailer::build(email)?));
        }
        let mut bots = SlackBots::default();
        for slack in &config.slack {
            let carrier = slack::build(slack, &config.private_hosts, clock, &mut bots)?;
            all.insert(slack.name.clone(), carrier);
        }
        for webhook in &config.webhooks {
            let carrier = webhook::Hook::build(webhook, &config.private_hosts, clock)?;
            all.insert(webhook.name.clone(), Arc::new(carrier));
        }
        Ok(Self { all, slack: bots })
    }

    /// The bots in Slack, for whoever hears what is pressed in their messages.
    pub const fn slack(&self) -> &SlackBots {
        &self.slack
    }

    /// What routing has to know of them, by name.
    pub fn channels(&self) -> Vec<Channel> {
        self.all.values().map(|carrier| carrier.channel().clone()).collect()
    }

    /// Delivers one message over a channel.
    pub async fn deliver(
        &self,
        channel: &ChannelName,
        message: &Message,
    ) -> Result<Receipt, Undelivered> {
        match self.all.get(channel) {
            Some(carrier) => carrier.deliver(message).await,
            None => Err(Undelivered::never(format!("there is no channel {channel} any more"))),
        }
    }
}
