//! What is told of channels and messages.

use vouchsafe_core::route::{Channel, ChannelName, DeliveryStatus};
use vouchsafe_core::time::UnixTime;

/// A channel, with what waits in it.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// The channel.
    pub channel: Channel,
    /// How many messages wait.
    pub queued: u64,
    /// When the oldest of them was queued.
    pub oldest: Option<UnixTime>,
    /// Why it pauses, and until when.
    pub paused: Option<(String, UnixTime)>,
}

/// What came of trying a channel.
#[derive(Clone, Debug)]
pub struct ChannelTest {
    /// It took the message.
    pub delivered: bool,
    /// What it said, or why it did not.
    pub said: String,
    /// Where the message went; none: to the channel's place.
    pub to: Option<String>,
}

/// Which messages are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// About this approval, by its id, whole or shortened while unique.
    pub approval: Option<String>,
    /// Over this channel.
    pub channel: Option<ChannelName>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
}

/// Which messages are to be tried again.
#[derive(Clone, Debug)]
pub enum Retry {
    /// This one, by its id, whole or shortened while unique.
    One(String),
    /// All that were given up over this channel.
    Channel(ChannelName),
}
