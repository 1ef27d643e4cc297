//! The bots, for whoever hears what is pressed in their messages.

use std::sync::Arc;

use serde_json::Value;
use vouchsafe_core::route::{ChannelName, Undelivered};

use super::bot::Bot;
use crate::notify::Carrier as _;

/// Every bot. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SlackBots {
    all: Vec<Arc<Bot>>,
}

impl SlackBots {
    pub(super) fn add(&mut self, bot: Arc<Bot>) {
        self.all.push(bot);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whose secret signed a request, and which workspace each takes members of; none: any. Several
    /// channels can be one app's.
    pub fn signed_by(
        &self,
        timestamp: &str,
        body: &[u8],
        signature: &str,
    ) -> Vec<(ChannelName, Option<String>)> {
        let signed = self.all.iter().filter(|bot| bot.signing().signed(timestamp, body, signature));
        let of = |bot: &Arc<Bot>| (bot.channel().name.clone(), bot.team().map(str::to_owned));
        signed.map(of).collect()
    }

    /// Asks who pressed Deny for a reason: what they deny, in a line, and its short digest. The
    /// form brings the ticket back.
    pub async fn ask_reason(
        &self,
        bot: &ChannelName,
        trigger: &str,
        shown: (&str, &str),
        ticket: &str,
    ) -> Result<(), Undelivered> {
        self.named(bot)?.ask_reason(trigger, shown, ticket).await
    }

    /// Says something to who pressed something, at the address that Slack gave for it.
    pub async fn tell(&self, bot: &ChannelName, url: &str, text: &str) -> Result<(), Undelivered> {
        self.named(bot)?.tell(url, text).await
    }

    /// Takes the buttons from a message that was pressed too late; `blocks` are the message as it
    /// is.
    pub async fn close(
        &self,
        bot: &ChannelName,
        url: &str,
        blocks: Vec<Value>,
        outcome: &str,
    ) -> Result<(), Undelivered> {
        self.named(bot)?.close(url, blocks, outcome).await
    }

    fn named(&self, name: &ChannelName) -> Result<&Bot, Undelivered> {
        let found = self.all.iter().find(|bot| bot.channel().name == *name);
        found.map(Arc::as_ref).ok_or_else(|| Undelivered::never("there is no such bot"))
    }
}
